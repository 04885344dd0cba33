-- One lock. Its hash outlives it by a day, so that the next token is larger even where Redis's clock was set back.
local FENCE_MS = 86400000

local lock = read_hash(base .. 'lock') or {}
local held = lock.deadline and tonumber(lock.deadline) > now

local function hold(changes, ttl_ms)
  changes.deadline = text(now + ttl_ms)
  write_hash(base .. 'lock', lock, changes)
  redis.call('PEXPIRE', base .. 'lock', text(ttl_ms + FENCE_MS))
end

local function acquire()
  if held and lock.by ~= call.by then
    reject('LockHeld')
  elseif not held then
    local token = math.max(tonumber(lock.token or '0') + 1, now_us)
    hold({ token = text(token), by = call.by }, call.ttl_ms)
  end
  return { 'OK', lock.token }
end

local function release()
  if held and lock.token == call.token then
    write_hash(base .. 'lock', lock, { deadline = '0', freed_by = call.by })
  elseif lock.freed_by ~= call.by then
    reject('LockNotHeld')
  end
  return { 'OK' }
end

local function extend()
  if not held or lock.token ~= call.token then
    reject('LockNotHeld')
  end
  hold({}, call.ttl_ms)
  return { 'OK' }
end

local operations = { acquire = acquire, release = release, extend = extend }

return answer(function()
  return operations[call.op]()
end)
