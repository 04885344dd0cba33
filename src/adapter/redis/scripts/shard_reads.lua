-- What is read of a shard.

local function room()
  return { 'OK', flat(read_room(call.room) or {}) }
end

-- The oldest room that takes players.
local function find()
  while true do
    local first = redis.call('ZRANGE', base .. 'open', 0, 0)[1]
    if not first then
      return { 'OK', {} }
    end
    local found = read_room(id_of(first))
    if standing_of(found) == 'open' then
      return { 'OK', record(found) }
    end
    relist(found)
  end
end

local function index()
  if not call.server then
    return 'rooms'
  end
  local copy = server_copy(call.server)
  local reg = registration(call.server, copy.epoch or '0')
  return (call.offered and 'offered:' or 'of:') .. reg
end

-- A chunk of the rooms of the shard, of a server, or of those offered to it, oldest first.
local function rooms()
  local after = call.after and ('(' .. call.after) or '-inf'
  local members = redis.call('ZRANGEBYSCORE', base .. index(), after, '+inf', 'LIMIT', 0, call.limit)
  local records = {}
  for _, member in ipairs(members) do
    records[#records + 1] = record(read_room(id_of(member)))
  end
  return { 'OK', records }
end

-- Rooms, seats, players and offers of each registration.
local function counts()
  local list = {}
  for _, reg in ipairs(call.registrations) do
    local sums = redis.call('HMGET', base .. 'count:' .. reg, 'seats', 'players')
    list[#list + 1] = {
      text(redis.call('ZCARD', base .. 'of:' .. reg)), sums[1] or '0', sums[2] or '0',
      text(redis.call('ZCARD', base .. 'offered:' .. reg)),
    }
  end
  return { 'OK', list }
end

-- How many rooms a registration has that are not newer than this one.
local function older()
  return { 'OK', text(redis.call('ZCOUNT', base .. 'of:' .. call.registration, '-inf', call.number)) }
end

local function totals()
  local players = redis.call('HGET', base .. 'totals', 'players') or '0'
  return { 'OK', text(redis.call('ZCARD', base .. 'rooms')), players }
end

-- Nothing but what every script does first: what is due is carried out.
local function tick()
  return { 'OK' }
end

local operations = { room = room, find = find, rooms = rooms, counts = counts, older = older, totals = totals, tick = tick }

return answer(function()
  expire_due()
  return operations[call.op]()
end)
