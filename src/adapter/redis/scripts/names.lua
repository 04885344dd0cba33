-- A name that a server chose for a room, and the shard where that room is. The first to ask gets it; a name that was
-- another shard's is given over only where the caller has seen that no room has it any more.
local name = base .. 'shard'
local present = redis.call('GET', name)
local mine = call.shard .. '|' .. text(now)
if not present or present == call.replace or string.match(present, '^(.*)|%d+$') == call.shard then
  redis.call('SET', name, mine)
  return { 'OK', mine, text(now) }
end
return { 'OK', present, text(now) }
