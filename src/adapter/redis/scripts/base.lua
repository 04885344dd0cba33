-- What every script begins with: its arguments, the time, numbers as text, refusals, events.
--
-- A script works in one slot: each key is KEYS[1] and a name. ARGV[1] is a JSON object of its
-- arguments; whatever could be too large for a Lua number travels in it as text.
local base = KEYS[1]
local call = cjson.decode(ARGV[1])

-- Lua's own conversion keeps 14 digits only, and epochs have 16.
local function text(number)
  return string.format('%.0f', number)
end

-- Numbers of one length, so that their order as text is their order.
local function pad(number)
  return string.format('%016.0f', number)
end

-- Redis's own time in microseconds; tests that move time by hand send it along.
local function read_clock()
  if call.now then
    return tonumber(call.now) * 1000
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local now_us = read_clock()
local now = math.floor(now_us / 1000)

-- The number of this call: the epoch, token or room number of whatever it grants. It only grows, and after
-- a loss of all data it goes on from the time of day, so it never goes back.
local stamped
local function stamp()
  if not stamped then
    local last = tonumber(redis.call('GET', base .. 'clock') or '0')
    stamped = math.max(last + 1, now_us)
    redis.call('SET', base .. 'clock', text(stamped))
  end
  return stamped
end

local function base36(number)
  local digits, out = '0123456789abcdefghijklmnopqrstuvwxyz', ''
  repeat
    local digit = math.fmod(number, 36)
    out = string.sub(digits, digit + 1, digit + 1) .. out
    number = (number - digit) / 36
  until number == 0
  return out
end

-- Text as a JSON string.
local function quote(value)
  return cjson.encode(value)
end

-- Ends the script with a refusal. Rules are checked before the first write of an operation.
local function refuse(...)
  error({ refusal = { ... } })
end

-- `rejection` is a variant of the registry's rejections, `about` JSON that it holds.
local function reject(rejection, about)
  if about then
    refuse('REJECTED', '{"' .. rejection .. '":' .. about .. '}')
  end
  refuse('REJECTED', '"' .. rejection .. '"')
end

local function invalid(problem)
  reject('Invalid', quote(problem))
end

local ordinal = 0

-- The JSON form of an event, with its place in the order of this slot.
local function event(kind, server_id, room_id, payload)
  local json = '{"type":"' .. kind .. '","serverId":' .. (server_id and quote(server_id) or 'null')
  if room_id then
    json = json .. ',"roomId":' .. quote(room_id)
  end
  json = json .. ',"payload":' .. payload .. ',"timestamp":' .. text(now)
  json = json .. ',"revision":{"index":' .. text(stamp()) .. ',"ordinal":' .. ordinal .. '}}'
  ordinal = ordinal + 1
  return json
end

local function announce(kind, server_id, room_id, payload)
  redis.call('PUBLISH', call.channel, event(kind, server_id, room_id, payload))
end

local function reason_payload(server_id, reason)
  local server = server_id and quote(server_id) or 'null'
  return '{"serverId":' .. server .. ',"reason":' .. quote(reason) .. '}'
end

-- A hash as a table of its fields, all text; nil where there is none.
local function read_hash(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then
    return nil
  end
  local fields = {}
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  return fields
end

-- A table as the flat list that replies are made of.
local function flat(fields)
  local list = {}
  for name, value in pairs(fields) do
    list[#list + 1] = name
    list[#list + 1] = value
  end
  return list
end

-- Sets fields of a hash, both in Redis and in the table that was read from it; `false` removes one.
local function write_hash(key, fields, changes)
  local set, gone = {}, {}
  for name, value in pairs(changes) do
    if value == false then
      if fields[name] then
        gone[#gone + 1] = name
        fields[name] = nil
      end
    elseif fields[name] ~= value then
      set[#set + 1] = name
      set[#set + 1] = value
      fields[name] = value
    end
  end
  if #set > 0 then
    redis.call('HSET', key, unpack(set))
  end
  if #gone > 0 then
    redis.call('HDEL', key, unpack(gone))
  end
end

-- Whether one unsigned number, as text, is at most another: they may be larger than Lua's numbers.
local function at_most(a, b)
  if #a ~= #b then
    return #a < #b
  end
  return a <= b
end

-- Runs the operation. One that would not be harmless twice names its call: its outcome is kept for a minute, and
-- a repetition gets that.
local function answer(run)
  local done = call.once and (base .. 'did:' .. call.once)
  local before = done and redis.call('GET', done)
  if before then
    return cjson.decode(before)
  end
  local fine, reply = pcall(run)
  if not fine then
    if type(reply) == 'table' and reply.refusal then
      return reply.refusal
    end
    error(reply)
  end
  if done then
    redis.call('SET', done, cjson.encode(reply), 'PX', 60000)
  end
  return reply
end
