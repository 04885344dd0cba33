-- How rooms lose their owners, get new ones, and end; and what falls due by the passing of time.

-- The longest part of one script's time that goes into what is due; the rest waits for the next call.
local EXPIRED_MAX = 500

local function dispose(room, reason)
  for _, row in ipairs(seats_of(room)) do
    free_seat(room, row.id, row.seat)
  end
  remove_room(room)
  local owner = room.owner or room.last
  announce('room:disposed', owner, room.id, reason_payload(owner, reason))
end

local function no_migration(changes)
  changes.mig_stage, changes.mig_from, changes.mig_to = false, false, false
  changes.mig_reg, changes.mig_version, changes.mig_deadline = false, false, false
  return changes
end

-- The room becomes orphaned or parked. Its epoch stays, as what the next claim compares.
local function leave_owner(room, state, changes)
  changes = no_migration(changes or {})
  changes.last = room.owner or room.last
  changes.owner, changes.reg, changes.address = false, false, ''
  changes.state, changes.updated, changes.since = state, text(now), text(now)
  change_room(room, changes)
end

local function orphan(room)
  settle_seats(room, 0)
  leave_owner(room, 'orphaned')
end

local function withdraw_offer(room)
  change_room(room, no_migration({}))
  room_event('room:updated', room, '{}')
end

-- The claimant has the room from now on.
local function take_over(room, claimant_id, claimant)
  local changes = {
    owner = claimant_id,
    reg = claimant.epoch,
    address = claimant.address,
    epoch = text(stamp()),
    state = room.lived == '1' and 'live' or 'creating',
    updated = text(now),
    last = false,
    since = false,
  }
  if room.mig_stage == 'offered' and room.mig_to == claimant_id then
    -- It arrives: until its new owner declares it live, it may go back to where it came from.
    changes.mig_stage, changes.mig_deadline, changes.mig_reg = 'claimed', '0', false
  else
    no_migration(changes)
  end
  local from = room.owner or room.last
  change_room(room, changes)
  if from ~= claimant_id then
    local payload = '{"fromServer":' .. (from and quote(from) or 'null') .. ',"toServer":' .. quote(claimant_id) .. '}'
    room_event('room:migrated', room, payload)
  end
end

local function expire_room(room)
  if is_offered(room) then
    withdraw_offer(room)
  elseif room.state == 'orphaned' and room.snap then
    leave_owner(room, 'parked')
    room_event('room:updated', room, '{}')
  elseif room.state == 'orphaned' then
    dispose(room, 'no server took it over in time')
  elseif room.state == 'parked' then
    dispose(room, 'the time of its snapshot is over')
  else
    dispose(room, 'its time to live is over')
  end
end

local function expire_member(member)
  if string.sub(member, 1, 1) == 'r' then
    local room = read_room(string.sub(member, 2))
    if room then
      return expire_room(room)
    end
  else
    local seat_id, room = string.sub(member, 2, 33), read_room(string.sub(member, 34))
    local seat = room and read_seat(room.id, seat_id)
    if seat and seat.state ~= 'j' then
      return free_seat(room, seat_id, seat)
    end
  end
  redis.call('ZREM', base .. 'due', member)
end

-- Carries out what is due. Every script of a shard begins with this, so no rule has to ask whether what it sees is
-- over already.
local function expire_due()
  for _ = 1, EXPIRED_MAX do
    local due = redis.call('ZRANGEBYSCORE', base .. 'due', '-inf', text(now), 'LIMIT', 0, 1)
    if #due == 0 then
      return
    end
    expire_member(due[1])
  end
end

-- The server under this very registration, online or draining, as this shard knows it. Where the copy is missing, older
-- or over, the caller looks at the row itself, and tries again if that is of use.
local function present(server_id, epoch)
  local copy = server_copy(server_id)
  if not copy.epoch or copy.status == 'offline' or tonumber(copy.epoch) < tonumber(epoch) then
    refuse('STALE', server_id)
  elseif copy.epoch == epoch then
    return copy
  end
  refuse('FENCED', copy.epoch)
end

-- How many more rooms a server may get, beside those that are offered to it. What it has in other shards is told by
-- the caller, who is asked for it when it matters.
local function rooms_left(server_id, copy)
  local elsewhere = call.elsewhere and call.elsewhere[server_id]
  if not elsewhere then
    refuse('COUNTS', server_id)
  end
  local reg = registration(server_id, copy.epoch)
  local here = redis.call('ZCARD', base .. 'of:' .. reg) + redis.call('ZCARD', base .. 'offered:' .. reg)
  return tonumber(copy.capacity) - here - elsewhere
end

local function present_with_room_left(server_id, epoch)
  local copy = present(server_id, epoch)
  if copy.status ~= 'online' then
    reject('ServerDraining', quote(server_id))
  elseif rooms_left(server_id, copy) <= 0 then
    reject('ServerFull', quote(server_id))
  end
  return copy
end

-- Makes a room on a server that was found fit for it. `new` has type, max, grace, meta, state, options and,
-- where the server chose it, id; where a join made it, that call as its maker.
local function make_room(owner_id, owner, new)
  local number = stamp()
  local room = {
    number = text(number), id = new.id or (call.shard .. '-' .. base36(number)), type = new.type,
    owner = owner_id, reg = owner.epoch, address = owner.address, epoch = text(number),
    state = new.state, maker = new.maker, locked = '0', max = new.max, seats = '0', players = '0', grace = new.grace,
    meta = new.meta, options = new.state == 'live' and '' or new.options,
    created = text(now), updated = text(now), lived = new.state == 'live' and '1' or '0', ttl = call.room_ttl,
  }
  insert_room(room)
  room_event('room:created', room, '{"roomType":' .. quote(new.type) .. ',"state":"' .. new.state .. '"}')
  return room
end
