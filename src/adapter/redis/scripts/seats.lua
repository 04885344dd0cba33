-- Seat rows come, change and go; every count and index that follows from them is kept in `put_seat`.
--
--   seats:ID     hash   seat id -> row
--   seat_rooms   hash   seat id -> room id
--   held         zset   held seats by where they came from: origin, room number, seat id, room id
--
-- A row is text: state (h, j or a), deadline, origin, token hash, player, with bars between; the player's id
-- comes last, since it may have bars itself.

local function pack_seat(seat)
  return table.concat({ seat.state, seat.deadline, seat.origin, seat.token, seat.player }, '|')
end

local function unpack_seat(row)
  local state, deadline, origin, token, player = string.match(row, '^(%a)|(%d+)|(%d+)|(%x*)|(.*)$')
  return { state = state, deadline = deadline, origin = origin, token = token, player = player }
end

local function read_seat(room_id, seat_id)
  local row = redis.call('HGET', base .. 'seats:' .. room_id, seat_id)
  return row and unpack_seat(row) or nil
end

-- Origins are up to 64 bits long, more than a Lua number has.
local function held_prefix(origin)
  return string.rep('0', 20 - #origin) .. origin
end

local function held_member(room, seat_id, seat)
  return held_prefix(seat.origin) .. pad(tonumber(room.number)) .. seat_id .. room.id
end

local function is_held_of_origin(seat)
  return seat and seat.state == 'h' and seat.origin ~= '0'
end

local function index_seat(room, seat_id, old, new)
  local due = 's' .. seat_id .. room.id
  if new and new.state ~= 'j' then
    redis.call('ZADD', base .. 'due', new.deadline, due)
  elseif old and old.state ~= 'j' then
    redis.call('ZREM', base .. 'due', due)
  end
  if is_held_of_origin(old) and not is_held_of_origin(new) then
    redis.call('ZREM', base .. 'held', held_member(room, seat_id, old))
  elseif is_held_of_origin(new) and not is_held_of_origin(old) then
    redis.call('ZADD', base .. 'held', 0, held_member(room, seat_id, new))
  end
  if new and not old then
    redis.call('HSET', base .. 'seat_rooms', seat_id, room.id)
  elseif old and not new then
    redis.call('HDEL', base .. 'seat_rooms', seat_id)
  end
end

-- Adds a seat, replaces the one with its id, or removes it where `new` is nil.
local function put_seat(room, seat_id, new)
  local old = read_seat(room.id, seat_id)
  local function players(seat)
    return seat and seat.state ~= 'h' and 1 or 0
  end
  local more_seats = (new and 1 or 0) - (old and 1 or 0)
  local more_players = players(new) - players(old)
  if new then
    redis.call('HSET', base .. 'seats:' .. room.id, seat_id, pack_seat(new))
  else
    redis.call('HDEL', base .. 'seats:' .. room.id, seat_id)
  end
  index_seat(room, seat_id, old, new)
  if more_players ~= 0 then
    redis.call('HINCRBY', base .. 'totals', 'players', more_players)
  end
  if more_seats ~= 0 or more_players ~= 0 then
    change_room(room, {
      seats = text(tonumber(room.seats) + more_seats),
      players = text(tonumber(room.players) + more_players),
    })
  end
end

local function player_event(kind, room, seat)
  room_event(kind, room, '{"playerId":' .. quote(seat.player) .. '}')
end

-- A seat falls free; if a player had it, that player has left.
local function free_seat(room, seat_id, seat)
  if seat.state ~= 'h' then
    player_event('player:left', room, seat)
  end
  put_seat(room, seat_id, nil)
end

-- All seats of a room, in order of their ids.
local function seats_of(room)
  local rows = redis.call('HGETALL', base .. 'seats:' .. room.id)
  local list = {}
  for i = 1, #rows, 2 do
    list[#list + 1] = { id = rows[i], seat = unpack_seat(rows[i + 1]) }
  end
  table.sort(list, function(a, b) return a.id < b.id end)
  return list
end

-- Players of a room that loses its owner are away, as long as the room's grace says, and at least so long.
local function settle_seats(room, at_least_ms)
  local grace = math.max(tonumber(room.grace), at_least_ms)
  for _, row in ipairs(seats_of(room)) do
    local seat = row.seat
    if seat.state == 'j' and grace == 0 then
      free_seat(room, row.id, seat)
    elseif seat.state == 'j' then
      seat.state, seat.deadline = 'a', text(now + grace)
      put_seat(room, row.id, seat)
    end
  end
end

-- A seat with its room, as the reply to who has it.
local function grant(room, seat_id, created)
  return { 'OK', created and '1' or '0', seat_id, pack_seat(read_seat(room.id, seat_id)), record(room) }
end
