-- Finds or places a room and takes a seat in it. The order for a type is the registry's: the oldest open room of the
-- caller's own server; a held seat that the player lost on the way here; the oldest open room anywhere; a new room.
-- Where nearness counts: an open room or a new one in each tier of servers, the nearest first.

local function wanted_fits(room_meta)
  for key, value in pairs(call.wanted) do
    if room_meta[key] ~= value then
      return false
    end
  end
  return true
end

-- The oldest room in an index of open ones that is open indeed: the status of its owner may have changed a moment
-- ago. Only where attributes are wanted is more than the first looked at.
local function oldest_open(index)
  local key, skipped, picky = base .. index, 0, next(call.wanted) ~= nil
  while true do
    local members = redis.call('ZRANGE', key, skipped, picky and skipped + 49 or skipped)
    if #members == 0 then
      return nil
    end
    for _, member in ipairs(members) do
      local room = read_room(id_of(member))
      if not room then
        redis.call('ZREM', key, member)
      elseif standing_of(room) ~= 'open' then
        relist(room)
      elseif picky and not wanted_fits(cjson.decode(room.meta)) then
        skipped = skipped + 1
      else
        return room
      end
    end
  end
end

local function take_seat(room, created)
  local is_local = room.owner == call.caller
  local seat = {
    player = call.player,
    token = is_local and call.token or '',
    state = is_local and 'j' or 'h',
    deadline = is_local and '0' or text(now + call.hold_ms),
    origin = call.origin,
  }
  put_seat(room, call.seat, seat)
  if is_local then
    player_event('player:joined', room, seat)
  end
  return grant(room, call.seat, created)
end

-- Held seats of the request's origin, oldest room first; `fits` is asked of each room.
local function held_room(fits)
  local prefix, skipped = held_prefix(call.origin), 0
  while call.origin ~= '0' do
    local members = redis.call('ZRANGEBYLEX', base .. 'held', '[' .. prefix, '[' .. prefix .. '\255', 'LIMIT', skipped, 50)
    for _, member in ipairs(members) do
      local room = read_room(string.sub(member, 69))
      if room and room.owner == call.caller and fits(room) then
        return room, string.sub(member, 37, 68)
      end
    end
    if #members == 0 then
      return nil
    end
    skipped = skipped + #members
  end
end

-- The requester takes up a held seat of its origin.
local function adopt(room, held_id)
  put_seat(room, held_id, nil)
  return take_seat(room, false)
end

local function again(room_id)
  local room = read_room(room_id)
  local seat = read_seat(room_id, call.seat)
  if seat.player ~= call.player then
    invalid("the seat id is another player's: choose a random one")
  end
  if room.owner ~= call.caller and seat.state == 'a' and seat.token == call.token then
    -- The room moved before it let the player in: the seat is the player's to take up there.
    player_event('player:left', room, seat)
    seat.state, seat.token, seat.deadline = 'h', '', text(now + call.hold_ms)
    put_seat(room, call.seat, seat)
  end
  -- A repetition of the very call that made the room says so again.
  return grant(room, call.seat, call.by and room.maker == call.by)
end

-- Why a room takes no new player now.
local function refusal_of(room)
  if room.state == 'orphaned' then
    return 'RoomOrphaned'
  elseif room.state == 'parked' then
    return 'RoomParked'
  elseif room.locked == '1' then
    return 'RoomLocked'
  elseif not has_space(room) then
    return 'RoomFull'
  end
end

local function join_room()
  local room = read_room(call.room)
  if not room then
    reject('RoomUnknown', quote(call.room))
  end
  local refusal = refusal_of(room)
  if not refusal then
    return take_seat(room, false)
  end
  if refusal == 'RoomLocked' or refusal == 'RoomFull' then
    local held, held_id = held_room(function(other) return other.id == room.id end)
    if held then
      return adopt(held, held_id)
    end
  end
  reject(refusal, quote(call.room))
end

-- The first candidate that is online, has room left and serves the type.
local function first_fit(candidates)
  for _, candidate in ipairs(candidates) do
    local copy = server_copy(candidate)
    if copy.status == 'online' and copy.serves == '1' and rooms_left(candidate, copy) > 0 then
      return candidate, copy
    end
  end
end

-- The attributes of the type's rooms, and over them those that are wanted.
local function merged_meta(copy)
  if next(call.wanted) == nil then
    return copy.meta
  end
  local meta = cjson.decode(copy.meta)
  for key, value in pairs(call.wanted) do
    meta[key] = value
  end
  return cjson.encode(meta)
end

-- A seat in a new room on the first candidate that can take one; none where none can.
local function join_new(candidates)
  local owner_id, owner = first_fit(candidates)
  if owner_id then
    local new = {
      type = call.type, max = owner.max, grace = owner.grace, meta = merged_meta(owner),
      state = 'creating', options = call.options, maker = call.by,
    }
    return take_seat(make_room(owner_id, owner, new), true)
  end
end

local function adopt_any()
  local held, held_id = held_room(function(other) return other.type == call.type end)
  return held and adopt(held, held_id)
end

local function join_anywhere()
  local room = oldest_open('open')
  return room and take_seat(room, false)
end

local function join_type()
  local room = oldest_open('open:' .. registration(call.caller, call.epoch))
  if room then
    return take_seat(room, false)
  end
  local taken = adopt_any() or join_anywhere()
  if taken then
    return taken
  elseif not call.create then
    refuse('NONE')
  end
  return join_new(call.candidates) or reject('NoCapacity', quote(call.type))
end

-- The oldest open room of a tier of servers; the caller's own come before the others'.
local function oldest_of_tier(tier)
  local oldest
  for _, server_id in ipairs(tier) do
    local copy = server_copy(server_id)
    local room = copy.epoch and oldest_open('open:' .. registration(server_id, copy.epoch))
    if room and server_id == call.caller then
      return room
    elseif room and (not oldest or tonumber(room.number) < tonumber(oldest.number)) then
      oldest = room
    end
  end
  return oldest
end

-- Tier by tier an open room, else a new one; a held seat of the player's comes before all.
local function join_nearest()
  local taken = adopt_any()
  for _, tier in ipairs(call.tiers) do
    if taken then
      break
    end
    local room = oldest_of_tier(tier)
    taken = room and take_seat(room, false) or call.create and join_new(tier)
  end
  taken = taken or call.anywhere and join_anywhere()
  if taken then
    return taken
  elseif call.create and call.anywhere then
    reject('NoCapacity', quote(call.type))
  end
  refuse('NONE')
end

return answer(function()
  expire_due()
  present(call.caller, call.epoch)
  local known = redis.call('HGET', base .. 'seat_rooms', call.seat)
  if known then
    return again(known)
  elseif call.room then
    return join_room()
  elseif call.tiers then
    return join_nearest()
  end
  return join_type()
end)
