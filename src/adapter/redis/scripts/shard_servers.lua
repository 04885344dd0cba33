-- A shard's copies of the servers' rows: they are put here by whoever changed a row, and swept when a registration
-- is over.
--
--   server:ID    hash    epoch, version, status, capacity, address, node, and of the shard's room type: serves, max,
--                        grace, meta
local CHUNK = 200

-- How long a copy that is over is remembered, so that no late copy of it takes effect.
local FORGET_MS = 3600000

local function is_newer(epoch, version, copy)
  if not copy.epoch or tonumber(epoch) > tonumber(copy.epoch) then
    return true
  end
  return epoch == copy.epoch and tonumber(version) > tonumber(copy.version)
end

-- Offers to a server end that it cannot take; what it may take back it can while it drains.
local function withdraw_offers(reg, returns_too)
  for _, member in ipairs(redis.call('ZRANGE', base .. 'offered:' .. reg, 0, -1)) do
    local room = read_room(id_of(member))
    if returns_too or room.mig_stage == 'offered' then
      withdraw_offer(room)
    end
  end
end

-- Puts a copy of a row that is newer than what is here; its rooms are listed anew in chunks, from `call.from` on.
local function put()
  local copy = server_copy(call.caller)
  if is_newer(call.epoch, call.copy.version, copy) then
    local key = base .. 'server:' .. call.caller
    redis.call('DEL', key)
    call.copy.epoch = call.epoch
    redis.call('HSET', key, unpack(flat(call.copy)))
    servers[call.caller] = call.copy
  end
  local reg = registration(call.caller, call.epoch)
  if call.copy.status == 'draining' then
    withdraw_offers(reg, false)
  end
  local members = redis.call('ZRANGE', base .. 'of:' .. reg, call.from, call.from + CHUNK - 1)
  for _, member in ipairs(members) do
    relist(read_room(id_of(member)))
  end
  return { 'OK', #members == CHUNK and text(call.from + CHUNK) or '' }
end

-- A registration is over: its rooms are orphaned or disposed of in chunks. Says whether there are more.
local function sweep()
  local copy = server_copy(call.caller)
  if is_newer(call.epoch, call.version, copy) then
    local key = base .. 'server:' .. call.caller
    redis.call('DEL', key)
    servers[call.caller] = { epoch = call.epoch, version = call.version, status = 'offline', capacity = '0' }
    redis.call('HSET', key, unpack(flat(servers[call.caller])))
  end
  if server_copy(call.caller).epoch == call.epoch then
    redis.call('PEXPIRE', base .. 'server:' .. call.caller, FORGET_MS)
  end
  local reg = registration(call.caller, call.epoch)
  withdraw_offers(reg, true)
  local members = redis.call('ZRANGE', base .. 'of:' .. reg, 0, CHUNK - 1)
  for _, member in ipairs(members) do
    local room = read_room(id_of(member))
    if call.dispose then
      dispose(room, 'its server was unregistered')
    else
      orphan(room)
    end
  end
  if #members < CHUNK then
    redis.call('DEL', base .. 'count:' .. reg)
    return { 'OK', '' }
  end
  return { 'OK', 'more' }
end

local operations = { put = put, sweep = sweep }

return answer(function()
  expire_due()
  return operations[call.op]()
end)
