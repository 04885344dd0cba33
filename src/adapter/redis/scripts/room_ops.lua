-- Rooms are registered, changed and disposed of by their owners; their snapshots are kept here too.

local function register()
  local owner = present_with_room_left(call.caller, call.epoch)
  if call.id and read_room(call.id) then
    reject('RoomExists', quote(call.id))
  end
  return { 'OK', record(make_room(call.caller, owner, call)) }
end

local function unregister()
  if read_room(call.room) then
    dispose(owned_room(call.room, call.epoch), call.reason)
  end
  return { 'OK' }
end

local function check_update(room)
  if call.max and tonumber(call.max) < tonumber(room.seats) then
    invalid('max_players is ' .. call.max .. ', but ' .. room.seats .. ' seats are taken: free seats first')
  elseif call.state == 'parked' and not room.snap then
    reject('SnapshotMissing', quote(room.id))
  end
end

local function update()
  local room = owned_room(call.room, call.epoch)
  check_update(room)
  local owner, locked_before = room.owner, room.locked
  local changes = { updated = text(now), locked = call.locked, max = call.max, meta = call.meta }
  if call.state == 'parked' then
    settle_seats(room, 0)
    leave_owner(room, 'parked', changes)
  else
    if call.state == 'live' then
      changes.state, changes.options, changes.lived = 'live', '', '1'
      no_migration(changes)
    end
    change_room(room, changes)
  end
  if call.locked and call.locked ~= locked_before then
    announce(call.locked == '1' and 'room:locked' or 'room:unlocked', owner, room.id, '{}')
  end
  if call.meta or call.max or call.state then
    announce('room:updated', owner, room.id, '{}')
  end
  return { 'OK' }
end

-- ARGV[2] is the encoded snapshot. A repetition of the call that saved it is no older version.
local function save_snapshot()
  local room = owned_room(call.room, call.epoch)
  if room.snap and room.snap_by ~= call.by and at_most(call.version, room.snap) then
    local about = '{"room_id":' .. quote(room.id) .. ',"offered":' .. call.version .. ',"kept":' .. room.snap .. '}'
    reject('SnapshotOutdated', about)
  end
  redis.call('SET', base .. 'snap:' .. room.id, ARGV[2])
  change_room(room, { snap = call.version, snap_ttl = call.ttl_ms, snap_by = call.by })
  return { 'OK' }
end

local function delete_snapshot()
  local room = owned_room(call.room, call.epoch)
  redis.call('DEL', base .. 'snap:' .. room.id)
  change_room(room, { snap = false, snap_ttl = false, snap_by = false })
  return { 'OK' }
end

local function load_snapshot()
  return { 'OK', redis.call('GET', base .. 'snap:' .. call.room) }
end

-- A message goes to the node of the room's owner alone. `payload` is JSON and is passed on as it came.
local function message()
  local room = read_room(call.room)
  if not room then
    reject('RoomUnknown', quote(call.room))
  elseif not room.owner then
    reject('RoomOrphaned', quote(call.room))
  end
  local copy = server_copy(room.owner)
  if copy.epoch ~= room.reg then
    reject('RoomOrphaned', quote(call.room))
  end
  local json = '{"type":"room:message","serverId":' .. quote(room.owner) .. ',"roomId":' .. quote(room.id)
  json = json .. ',"payload":' .. ARGV[2] .. ',"timestamp":' .. text(now) .. '}'
  redis.call('PUBLISH', call.channel .. ':' .. copy.node, json)
  return { 'OK' }
end

local operations = {
  register = register, unregister = unregister, update = update, message = message,
  save_snapshot = save_snapshot, delete_snapshot = delete_snapshot, load_snapshot = load_snapshot,
}

return answer(function()
  expire_due()
  return operations[call.op]()
end)
