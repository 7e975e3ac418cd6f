-- The best job and a permit for one call, in one step.
local admitted_before, admit_best
do
  local TURNED = 100

  local function trace_of(options, job)
    return options.traces and job.metadata and string.match(job.metadata, '"traceparent":"(%x%x%-%x+%-%x+%-%x%x)"') or nil
  end

  local function admit_control_call(options, member)
    local kind, id = parse_control_call(member)
    local job = id and read_record(keys.job .. id)
    local asked = job and (kind == 'poll' or job.state == 'submitted' and (kind ~= 'cancel' or job.canceling))
    local about = asked and askable(job)
    if kind == 'poll' and not about then end_question(id) end
    if not about then return nil end
    return { result = 'admitted', job = id, attempt = job.attempt, kind = kind, control_call = member,
      request = '{"jobId":' .. about .. '}', priority = job.priority, number = job.number,
      born = tonumber(job.created_at), trace = trace_of(options, job), linger = options.linger }
  end

  -- A delivery that failed is tried again by a resend of iFax's job, whatever the kind of our job; in a lower quality by a
  -- send.
  local function admission(options, id, job)
    local kind, request = job.kind, job.request
    if is_resent(job) then kind, request = 'resend', resend_request(job.resend_of, job.kind == 'resend' and job.number) end
    local since = math.max(tonumber(job.created_at), tonumber(job.send_at) or 0)
    return { result = 'admitted', job = id, attempt = job.attempt, kind = kind, request = request,
      waited = job.attempt == 1 and math.max(0, now - since) or nil, priority = job.priority, number = job.number,
      quality = job.lowered, due = job.send_at and not is_for_later(job) or nil, born = tonumber(job.created_at),
      trace = trace_of(options, job), linger = options.linger }
  end

  -- What this permit was granted for by an earlier call whose reply was lost; nil if it was not granted, or is no longer
  -- needed. Second: whether it was granted. Third: how many permits there are.
  function admitted_before(options, token)
    local permits = redis.call('ZRANGE', keys.permits, 0, -1)
    for _, permit in ipairs(permits) do
      if string.sub(permit, 1, #token + 1) == permit_of(token) then
        local held = held_for(permit)
        local job = held and read_record(keys.job .. held, 'request')
        return held and admit_control_call(options, held) or job and admission(options, held, job) or nil, true, #permits
      end
    end
    return nil, false, #permits
  end

  -- Whether the job's expires_at has passed. It is not sent then: the next run of run_timers decides about it (0), even if the
  -- clock has stepped back by then.
  local function too_late(id, job)
    if not is_over(job) then return false end
    redis.call('ZADD', keys.expiring, 0, id)
    return true
  end

  -- r: the room, of which some is free. chance (0 to 1, of this permit): below the starvation share, the oldest job is taken
  -- if it has starved. Returns the reply's table, or nil if no job is ready.
  function admit_best(account, options, r, token, chance)
    local function take() return take_next(account, options, r, chance) end
    local function grant(id)
      redis.call('ZADD', keys.permits, int(steady + options.lease), permit_of(token, id))
      if r.probe then note_probe(account, options) end
    end

    local turned, rung = 0, false
    for id in take do
      local reply = admit_control_call(options, id)
      if reply then
        grant(id)
        return reply
      end
      local job = read_record(keys.job .. id, 'request')
      local late = job and job.state == 'queued' and too_late(id, job)
      if late and not rung then
        ring() -- the dispatchers look
        rung = true
      end
      if job and job.state == 'queued' and not late and take_line(options, id, job) then
        job.attempt, job.tries = job.attempt + 1, job.tries + 1
        if job.send_at then redis.call('ZREM', keys.scheduled, id) end
        redis.call('HSET', keys.job .. id, 'state', 'submitting', 'attempt', job.attempt, 'tries', job.tries, 'permit', token,
          'marked', '', 'lease', int(steady + options.lease), 'admitted_at', int(now), 'granted_at', int(steady),
          'updated_at', int(now), 'line', (options.numbers > 0 and job.number and not is_for_later(job)) and '1' or '')
        grant(id)
        return admission(options, id, job)
      end
      turned = turned + 1
      if turned == TURNED then -- so many wait for their lines: the rest is for the next turn
        ring_for_room()
        return nil
      end
    end
    return nil
  end
end
