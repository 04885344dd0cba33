-- The servers' rows, all in one slot: few, and no join reads them.
--
--   row:ID     hash    epoch, version, status, node, seen, by, and what the server says of itself
--   all        zset    ids in their order
--   leases     zset    when each server that is not offline is, unless it renews its lease
--   offline    zset    when each offline server is forgotten
--   at:ID      set     the shards that have, or had, a copy of its row
--   shards     set     every shard
--   pending    hash    what has to be carried into the shards yet: sweeps of registrations that are over, and
--                      copies of rows that changed. Whoever finds one finishes it, and its event is published
--                      by whoever takes it out.
local OFFLINE_MS = 3600000

local function row_key(server_id)
  return base .. 'row:' .. server_id
end

local function write_row(server_id, row, changes)
  changes.version = text(tonumber(row.version or '0') + 1)
  write_hash(row_key(server_id), row, changes)
end

local function pend(name, work)
  redis.call('HSET', base .. 'pending', name, cjson.encode(work))
end

-- A registration is over: the shards are to be swept. What is being done already stays as it is.
local function pend_sweep(server_id, row, reason, dispose)
  local name = 'sweep:' .. server_id .. '@' .. row.epoch
  if redis.call('HEXISTS', base .. 'pending', name) == 0 then
    local offline = reason and event('server:offline', server_id, nil, reason_payload(server_id, reason))
    pend(name, {
      server = server_id, epoch = row.epoch, version = text(tonumber(row.version) + 1), dispose = dispose, event = offline,
    })
  end
end

local function pend_copy(server_id, row, event_json)
  local name = 'copy:' .. server_id
  local before = redis.call('HGET', base .. 'pending', name)
  local events = before and cjson.decode(before).events or {}
  events[#events + 1] = event_json
  pend(name, { server = server_id, version = row.version, epoch = row.epoch, events = events })
end

local function take_offline(server_id, row, reason)
  pend_sweep(server_id, row, reason, false)
  write_row(server_id, row, { status = 'offline' })
  redis.call('ZREM', base .. 'leases', server_id)
  redis.call('ZADD', base .. 'offline', text(now + OFFLINE_MS), server_id)
end

local function forget(server_id)
  redis.call('DEL', row_key(server_id), base .. 'at:' .. server_id)
  for _, index in ipairs({ 'all', 'leases', 'offline' }) do
    redis.call('ZREM', base .. index, server_id)
  end
end

-- Servers whose leases have ended go offline, and those that have long been are forgotten.
local function expire_servers()
  for _, server_id in ipairs(redis.call('ZRANGEBYSCORE', base .. 'leases', '-inf', text(now), 'LIMIT', 0, 100)) do
    local row = read_hash(row_key(server_id))
    if row then
      take_offline(server_id, row, 'no heartbeat within its time to live')
    else
      redis.call('ZREM', base .. 'leases', server_id)
    end
  end
  for _, server_id in ipairs(redis.call('ZRANGEBYSCORE', base .. 'offline', '-inf', text(now), 'LIMIT', 0, 100)) do
    forget(server_id)
  end
end

local function place_in(server_id, shards)
  for _, shard in ipairs(shards) do
    redis.call('SADD', base .. 'at:' .. server_id, shard)
    redis.call('SADD', base .. 'shards', shard)
  end
end

local function renew_lease(server_id)
  redis.call('ZADD', base .. 'leases', text(now + call.ttl_ms), server_id)
end

-- The row of the server under this very registration, online or draining.
local function present_row()
  local row = read_hash(row_key(call.caller))
  if not row then
    reject('ServerUnknown', quote(call.caller))
  elseif row.epoch ~= call.epoch then
    refuse('FENCED', row.epoch)
  elseif row.status == 'offline' then
    reject('ServerUnknown', quote(call.caller))
  end
  return row
end

local function register()
  local id = call.caller
  local row = read_hash(row_key(id)) or {}
  if row.by == call.by then
    return { 'OK', row.epoch }
  end
  local present = row.status and row.status ~= 'offline'
  if present and row.node ~= '0' and row.node ~= call.row.node then
    reject('ServerIdTaken', quote(id))
  end
  if present then
    take_offline(id, row, 'it registered anew')
  end
  local changes = call.row
  changes.epoch, changes.status, changes.by, changes.seen = text(stamp()), 'online', call.by, text(now)
  write_row(id, row, changes)
  redis.call('ZADD', base .. 'all', 0, id)
  redis.call('ZREM', base .. 'offline', id)
  renew_lease(id)
  place_in(id, call.shards)
  pend_copy(id, row, event('server:online', id, nil, '{}'))
  return { 'OK', row.epoch }
end

local function unregister()
  local row = read_hash(row_key(call.caller))
  if row and row.epoch ~= call.epoch then
    refuse('FENCED', row.epoch)
  elseif row then
    pend_sweep(call.caller, row, row.status ~= 'offline' and 'unregistered' or nil, true)
    redis.call('HDEL', base .. 'pending', 'copy:' .. call.caller)
    redis.call('DEL', row_key(call.caller))
    for _, index in ipairs({ 'all', 'leases', 'offline' }) do
      redis.call('ZREM', base .. index, call.caller)
    end
  end
  return { 'OK' }
end

local function update()
  local row = present_row()
  local before = row.status
  write_row(call.caller, row, call.row)
  place_in(call.caller, call.shards)
  local changed = call.row.status and call.row.status ~= before and call.row.status
  local kind = changed and (changed == 'online' and 'server:online' or 'server:draining')
  pend_copy(call.caller, row, kind and event(kind, call.caller, nil, '{}') or nil)
  return { 'OK' }
end

-- A server whose lease has ended is told so, whatever it believes of its epoch: it must register again.
local function heartbeat()
  if redis.call('HGET', row_key(call.caller), 'status') == 'offline' then
    reject('ServerUnknown', quote(call.caller))
  end
  present_row()
  renew_lease(call.caller)
  redis.call('HSET', row_key(call.caller), 'seen', text(now))
  return { 'OK' }
end

local function present()
  present_row()
  return { 'OK' }
end

-- The row for a shard that has no copy of it, or an old one. The shard is noted first, so that a sweep finds it.
local function locate()
  local row = read_hash(row_key(call.caller))
  if not row then
    return { 'OK', {} }
  end
  place_in(call.caller, call.shards)
  return { 'OK', flat(row) }
end

local function with_places(server_id)
  local row = read_hash(row_key(server_id))
  return row and { server_id, flat(row), redis.call('SMEMBERS', base .. 'at:' .. server_id) } or nil
end

-- Rows with the shards where they have copies, and everything that is pending.
local function list()
  local ids = call.servers or redis.call('ZRANGE', base .. 'all', 0, -1)
  local rows = {}
  for _, server_id in ipairs(ids) do
    rows[#rows + 1] = with_places(server_id)
  end
  return { 'OK', rows, redis.call('HVALS', base .. 'pending'), redis.call('SMEMBERS', base .. 'shards') }
end

-- One piece of pending work as of now: the row and where its copies go.
local function pending()
  local server = with_places(call.caller)
  local at = redis.call('SMEMBERS', base .. 'at:' .. call.caller)
  return { 'OK', server and server[2] or {}, at }
end

-- The shards of a registration that is over are swept.
local function swept()
  local name = 'sweep:' .. call.caller .. '@' .. call.epoch
  local work = redis.call('HGET', base .. 'pending', name)
  if work then
    redis.call('HDEL', base .. 'pending', name)
    local offline = cjson.decode(work).event
    if offline then
      redis.call('PUBLISH', call.channel, offline)
    end
    if redis.call('EXISTS', row_key(call.caller)) == 0 then
      redis.call('DEL', base .. 'at:' .. call.caller)
    end
  end
  return { 'OK' }
end

-- The copies of a row are where they belong, unless the row has changed since.
local function copied()
  local name = 'copy:' .. call.caller
  local work = redis.call('HGET', base .. 'pending', name)
  work = work and cjson.decode(work)
  if work and work.epoch == call.epoch and work.version == call.version then
    redis.call('HDEL', base .. 'pending', name)
    for _, json in ipairs(work.events) do
      redis.call('PUBLISH', call.channel, json)
    end
  end
  return { 'OK' }
end

-- How many shards a type has is the same for all servers, for ever: rooms are found by it.
local function agree()
  redis.call('SET', base .. 'shards_per_type', call.shards_per_type, 'NX')
  return { 'OK', redis.call('GET', base .. 'shards_per_type') }
end

local operations = {
  register = register, unregister = unregister, update = update, heartbeat = heartbeat, locate = locate, present = present,
  list = list, pending = pending, swept = swept, copied = copied, agree = agree,
}

return answer(function()
  expire_servers()
  return operations[call.op]()
end)
