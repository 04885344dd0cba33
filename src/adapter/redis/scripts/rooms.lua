-- Rooms and every index of them. `change_room` is the only way in which a room's fields change, and keeps all
-- indexes in step; `place_of` says where a room belongs.
--
--   room:ID           hash    the record
--   rooms             zset    all rooms by number, oldest first
--   of:REG            zset    the rooms that a registration (SERVER@EPOCH) owns
--   open, open:REG    zset    those of them that take players
--   orphaned, parked  zset    rooms without an owner, by the time since when
--   lost              zset    orphans that nothing can bring back
--   offered:REG       zset    rooms of others that are offered to this registration
--   due               zset    r<room> and s<seat><room> by their deadlines
--   count:REG         hash    seats and players in the rooms of a registration
--   totals            hash    players in all rooms
--
-- A room is a member of the indexes as its number in 16 digits, then its id.
local ORPHAN_MS = 30000

local servers = {}

-- This shard's copy of a server's row; an empty table where it has none.
local function server_copy(server_id)
  local copy = servers[server_id]
  if not copy then
    copy = read_hash(base .. 'server:' .. server_id) or {}
    servers[server_id] = copy
  end
  return copy
end

local function registration(server_id, epoch)
  return server_id .. '@' .. epoch
end

local function room_key(room_id)
  return base .. 'room:' .. room_id
end

local function read_room(room_id)
  return read_hash(room_key(room_id))
end

local function member_of(room)
  return pad(tonumber(room.number)) .. room.id
end

local function id_of(member)
  return string.sub(member, 17)
end

local function is_offered(room)
  return room.mig_stage ~= nil and room.mig_stage ~= 'claimed'
end

local function has_space(room)
  return tonumber(room.seats) < tonumber(room.max)
end

local function owner_online(room)
  local copy = server_copy(room.owner)
  return copy.status == 'online' and copy.epoch == room.reg
end

-- The index in which a room stands; a function of the room and of its owner's status, nothing else.
local function standing_of(room)
  if room.state == 'orphaned' then
    return (room.lived == '1' and not room.snap) and 'lost' or 'orphaned'
  elseif room.state == 'parked' then
    return 'parked'
  elseif room.locked == '1' or not has_space(room) or not owner_online(room) then
    return 'closed'
  end
  return 'open'
end

local function deadline_of(room)
  if is_offered(room) then
    return tonumber(room.mig_deadline)
  elseif room.state == 'orphaned' then
    return tonumber(room.since) + ORPHAN_MS
  elseif room.state == 'parked' then
    local ttl = tonumber(room.snap_ttl or '0')
    return ttl > 0 and tonumber(room.since) + ttl or nil
  end
  local ttl = tonumber(room.ttl)
  return ttl > 0 and tonumber(room.updated) + ttl or nil
end

-- The scores under which a room stands in the indexes, `standing` as it is written in the room.
local function place_of(room)
  local place, number, standing = { rooms = tonumber(room.number) }, tonumber(room.number), room.standing
  if room.owner then
    local reg = registration(room.owner, room.reg)
    place['of:' .. reg] = number
    if standing == 'open' then
      place['open'] = number
      place['open:' .. reg] = number
    end
  else
    place[standing] = tonumber(room.since)
  end
  if is_offered(room) then
    place['offered:' .. registration(room.mig_to, room.mig_reg)] = number
  end
  return place
end

local function move(room, before, after)
  local member = member_of(room)
  for index in pairs(before) do
    if not after[index] then
      redis.call('ZREM', base .. index, member)
    end
  end
  for index, score in pairs(after) do
    if before[index] ~= score then
      redis.call('ZADD', base .. index, text(score), member)
    end
  end
end

-- What a room adds to the counts of its owner.
local function counts_of(room)
  if not room.owner then
    return nil, 0, 0
  end
  return registration(room.owner, room.reg), tonumber(room.seats), tonumber(room.players)
end

local function recount(old_reg, old_seats, old_players, reg, seats, players)
  local function add(to, more_seats, more_players)
    if to and more_seats ~= 0 then
      redis.call('HINCRBY', base .. 'count:' .. to, 'seats', more_seats)
    end
    if to and more_players ~= 0 then
      redis.call('HINCRBY', base .. 'count:' .. to, 'players', more_players)
    end
  end
  if old_reg == reg then
    add(reg, seats - old_seats, players - old_players)
  else
    add(old_reg, -old_seats, -old_players)
    add(reg, seats, players)
  end
end

-- Changes fields of a room, and everything that follows from them.
local function change_room(room, changes)
  local before, due_before = place_of(room), deadline_of(room)
  local old_reg, old_seats, old_players = counts_of(room)
  write_hash(room_key(room.id), room, changes)
  write_hash(room_key(room.id), room, { standing = standing_of(room) })
  move(room, before, place_of(room))
  recount(old_reg, old_seats, old_players, counts_of(room))
  local due = deadline_of(room)
  if due and due ~= due_before then
    redis.call('ZADD', base .. 'due', text(due), 'r' .. room.id)
  elseif due_before and not due then
    redis.call('ZREM', base .. 'due', 'r' .. room.id)
  end
end

-- A room whose owner's status has changed stands elsewhere now.
local function relist(room)
  if standing_of(room) ~= room.standing then
    change_room(room, {})
  end
end

-- Enters a new room. Its fields are complete but for what is derived.
local function insert_room(room)
  room.standing = 'closed'
  redis.call('HSET', room_key(room.id), unpack(flat(room)))
  move(room, {}, place_of(room))
  change_room(room, {})
  local due = deadline_of(room)
  if due then
    redis.call('ZADD', base .. 'due', text(due), 'r' .. room.id)
  end
end

-- Takes out a room whose seats are gone.
local function remove_room(room)
  move(room, place_of(room), {})
  redis.call('ZREM', base .. 'due', 'r' .. room.id)
  redis.call('DEL', room_key(room.id), base .. 'seats:' .. room.id, base .. 'snap:' .. room.id)
end

local function room_event(kind, room, payload)
  announce(kind, room.owner, room.id, payload)
end

-- A room in a reply.
local function record(room)
  return flat(room)
end

-- The room under this very ownership.
local function owned_room(room_id, epoch)
  local room = read_room(room_id)
  if not room then
    reject('RoomUnknown', quote(room_id))
  elseif not room.owner then
    refuse('FENCED', '0')
  elseif room.epoch ~= epoch then
    refuse('FENCED', room.epoch)
  end
  return room
end
