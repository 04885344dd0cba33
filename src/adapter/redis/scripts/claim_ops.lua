-- Rooms go from one server to another: offered, claimed, or found without an owner.
local MOVE_GRACE_MS = 15000

local function check_offer(room)
  if room.state ~= 'live' then
    invalid('room ' .. room.id .. ' is not live yet: wait until it is')
  elseif not room.snap then
    reject('SnapshotMissing', quote(room.id))
  elseif room.snap ~= call.version then
    local about = '{"room_id":' .. quote(room.id) .. ',"offered":' .. call.version .. ',"kept":' .. room.snap .. '}'
    reject('SnapshotOutdated', about)
  elseif room.owner == call.target then
    invalid('server ' .. call.target .. ' has the room already: offer it to another one')
  end
end

-- Whether the target may have the room, and as what. One that it was claimed from takes it back whatever its state.
local function offer_stage(room, target)
  if not target.epoch then
    refuse('STALE', call.target)
  elseif target.status == 'offline' then
    reject('ServerUnknown', quote(call.target))
  end
  local stage = room.mig_stage
  if (stage == 'claimed' and room.mig_from == call.target) or (stage == 'returned' and room.mig_to == call.target) then
    return 'returned'
  end
  if target.status ~= 'online' then
    reject('ServerDraining', quote(call.target))
  elseif target.serves ~= '1' then
    reject('TypeNotServed', '{"server_id":' .. quote(call.target) .. ',"room_type":' .. quote(room.type) .. '}')
  end
  local has_place = is_offered(room) and room.mig_to == call.target
  if not has_place and rooms_left(call.target, target) <= 0 then
    reject('ServerFull', quote(call.target))
  end
  return 'offered'
end

local function offer()
  local room = owned_room(call.room, call.epoch)
  check_offer(room)
  local target = server_copy(call.target)
  local stage = offer_stage(room, target)
  change_room(room, {
    mig_from = room.owner, mig_to = call.target, mig_reg = target.epoch, mig_stage = stage,
    mig_version = call.version, mig_deadline = text(now + call.ttl_ms),
  })
  room_event('room:updated', room, '{"offeredTo":' .. quote(call.target) .. '}')
  return { 'OK' }
end

local function claim()
  local room = read_room(call.room)
  if not room then
    reject('RoomUnknown', quote(call.room))
  end
  local own = room.owner == call.caller
  -- An offered room has its place on the claimant already.
  local offered = is_offered(room) and room.mig_to == call.caller
  local claimant = (own or offered) and present(call.caller, call.epoch)
    or present_with_room_left(call.caller, call.epoch)
  if room.epoch ~= call.room_epoch or (room.owner and not own and not offered) then
    reject('RoomOwned', quote(call.room))
  end
  if offered then
    settle_seats(room, MOVE_GRACE_MS)
  end
  take_over(room, call.caller, claimant)
  return { 'OK', record(room) }
end

local function waiting(index)
  return redis.call('ZRANGE', base .. index, 0, call.limit - 1, 'WITHSCORES')
end

-- The rooms that wait for an owner, oldest first; those that cannot come back are disposed of. Draining servers get
-- none, but dispose too.
local function ownerless()
  local claimant = present(call.caller, call.epoch)
  for _, member in ipairs(redis.call('ZRANGE', base .. 'lost', 0, 499)) do
    dispose(read_room(id_of(member)), 'its server was lost and it has no snapshot')
  end
  if claimant.status ~= 'online' then
    return { 'OK', text(now), {}, {}, '0' }
  end
  local count = redis.call('ZCARD', base .. 'orphaned') + redis.call('ZCARD', base .. 'parked')
  return { 'OK', text(now), waiting('orphaned'), waiting('parked'), text(count) }
end

-- Takes these of them, as far as they still wait and there is room.
local function claim_these()
  local claimant = present(call.caller, call.epoch)
  local left, taken = 0, {}
  if claimant.status == 'online' then
    left = rooms_left(call.caller, claimant)
  end
  for _, room_id in ipairs(call.rooms) do
    local room = left > 0 and read_room(room_id)
    if room and not room.owner and room.standing ~= 'lost' then
      take_over(room, call.caller, claimant)
      taken[#taken + 1] = record(room)
      left = left - 1
    end
  end
  return { 'OK', taken }
end

local operations = { offer = offer, claim = claim, ownerless = ownerless, claim_these = claim_these }

return answer(function()
  expire_due()
  return operations[call.op]()
end)
