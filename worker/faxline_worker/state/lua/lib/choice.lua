-- Which job goes next.
local take_next
do
  -- Pauses whose probe is drawn at random.
  local DRAWN = { unreachable = true, breaker = true }

  -- The oldest of the less urgent jobs, if it has waited so long that it starves.
  local function starved(options)
    local oldest, born
    for rank = 2, 3 do
      local head = redis.call('ZRANGEBYSCORE', keys.ready, int(rank * STRIDE), '(' .. int((rank + 1) * STRIDE), 'WITHSCORES',
        'LIMIT', 0, 1)
      local age = head[2] and tonumber(head[2]) - rank * STRIDE
      if age and (not born or age < born) then oldest, born = head[1], age end
    end
    if born and now_us - EPOCH_US - born > options.starve_after * 1000 then return oldest end
  end

  -- A job that is drawn, but no control call. The first job would be the probe each time, and it may be the cause.
  local function draw(chance)
    local all, control_calls = redis.call('ZCARD', keys.ready), redis.call('ZCOUNT', keys.ready, '-inf', '(' .. int(STRIDE))
    local due = redis.call('ZCOUNT', keys.ready, '-inf', '(' .. int(POLL_PLACE))
    local place = due > control_calls and control_calls + math.floor(chance * (due - control_calls)) or all - 1
    local id = redis.call('ZRANGE', keys.ready, int(math.min(place, all - 1)), int(math.min(place, all - 1)))[1]
    if id then redis.call('ZREM', keys.ready, id) end
    return id
  end

  -- The first job that is due, if a question is before it: it would be the probe, and its answer tells nothing of the pause.
  local function ahead_of_questions()
    local first = redis.call('ZRANGE', keys.ready, 0, 0)[1]
    if not first or parse_control_call(first) ~= 'poll' then return nil end
    return redis.call('ZRANGEBYSCORE', keys.ready, int(STRIDE), '(' .. int(POLL_PLACE), 'LIMIT', 0, 1)[1]
  end

  -- Takes a job out of the ready set; nil if none is there. r, chance: as for `admit_best`.
  function take_next(account, options, r, chance)
    if r.probe and DRAWN[account.paused] then return draw(chance) end
    local id = r.probe and OF_SENDING[account.paused] and ahead_of_questions()
      or chance < options.starve_share and starved(options)
    if id then
      redis.call('ZREM', keys.ready, id)
      return id
    end
    return redis.call('ZPOPMIN', keys.ready)[1]
  end
end
