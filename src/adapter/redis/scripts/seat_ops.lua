-- Seats are confirmed and freed by the owners of their rooms.

local function confirm()
  local room = owned_room(call.room, call.epoch)
  local seat = read_seat(room.id, call.seat)
  if not seat then
    reject('SeatUnknown', quote(call.room))
  end
  if seat.state ~= 'h' and seat.token ~= call.token then
    reject('TokenMismatch', quote(call.room))
  end
  if seat.state ~= 'j' then
    local arrived = seat.state == 'h'
    seat.state, seat.token, seat.deadline = 'j', call.token, '0'
    put_seat(room, call.seat, seat)
    if arrived then
      player_event('player:joined', room, seat)
    end
  end
  return grant(room, call.seat, false)
end

-- Seats of rooms that are gone or another's are passed over.
local function release_one(release)
  local room = read_room(release.room)
  if not room or room.owner ~= call.caller then
    return
  end
  local seat = read_seat(room.id, release.seat)
  if seat and release.away == '0' then
    free_seat(room, release.seat, seat)
  elseif seat and seat.state == 'j' then
    seat.state, seat.deadline = 'a', text(now + tonumber(release.away))
    put_seat(room, release.seat, seat)
  end
end

local function release()
  present(call.caller, call.epoch)
  for _, one in ipairs(call.releases) do
    release_one(one)
  end
  return { 'OK' }
end

-- The room in which a seat is, for callers that must look in several shards.
local function find_seat()
  return { 'OK', redis.call('HGET', base .. 'seat_rooms', call.seat) or '' }
end

local operations = { confirm = confirm, release = release, find_seat = find_seat }

return answer(function()
  expire_due()
  return operations[call.op]()
end)
