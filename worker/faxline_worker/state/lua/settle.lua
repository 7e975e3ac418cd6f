-- settle: the answer of one call moves the job on and gives the permit back. `released`: not a byte was sent. The
-- caller that is ready for the next call is given the best job along with it.
-- include: clock bell record lines limits wakes closing account numbers receipts doubts outcomes control_calls polling audit admission
-- ARGV  permit token, job id, JSON answer {decision, job_id, code, reason, message, retry, cooldown (ms), jitter,
--       named (the jobId in an answer that is unclear), silent, marked (the caller had written the mark), meaning (of one whose meaning is unknown), ours (it may be this
--       process' own fault), late (the call began before this process stepped back); and for the audit call, outcome,
--       status, ms}, JSON options, the next permit's token (empty: the caller stops here, and others are woken in its
--       place), its chance (as for admit), the steady clock as the caller has it (ms; nothing: it has none)
-- reply JSON {result = settled | repeated | stale | duplicate | resolved, state, wakes, receipt, submitted_at, apart
--       (true: other processes' calls are accepted, so this one is at fault), next (as admit has it), event (the last
--       that it wrote), steady (ms)}
local token, id = ARGV[1], ARGV[2]
local answer, options = cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
local said = { code = answer.code, reason = answer.reason, message = answer.message }
local job = read_record(keys.job .. id)
local account = read_account(options, ARGV[7])
if job and answer.marked then job.marked = '1' end -- also where Redis lost it
-- When it was admitted, by the steady clock; an older process did not note that.
local granted_at = job and (tonumber(job.granted_at) or tonumber(job.admitted_at) or 0)
local settled, result, applied, apart = { settled = token }, 'settled', nil, nil

local function back()
  if not taken_before(account, options, id, job, settled) then put_back(options, id, job, token) end
end

local function close(reason)
  if answer.late then return end
  if only_here(account, options, answer) then
    apart = true
  else
    pause(account, options, reason, answer, granted_at)
  end
end

local by_decision = {
  accepted = function() applied = accept(account, options, id, job, answer.job_id, settled) end,
  refuse = function()
    if taken_before(account, options, id, job, settled, true) then return end
    if is_resent(job) and job.kind == 'send' and answer.reason == 'not_found' then -- iFax has it no more
      settled.resend_of = ''
      return retry(account, options, id, job, said, 0, settled)
    end
    fail(options, id, job, said, settled)
  end,
  released = back,
  defer = function()
    back()
    begin_cooldown(account, options, granted_at, answer.cooldown, answer.jitter or 1)
  end,
  pause = function()
    back()
    close(answer.reason)
  end,
  unreachable = function()
    if taken_before(account, options, id, job, settled) then return close('unreachable') end
    if job.marked ~= '1' then
      put_back(options, id, job, token)
      return close('unreachable')
    end
    -- Somebody answered, and perhaps it is about this fax after all; so it is where others were accepted lately, since it was
    -- answered so first. Then nobody else waits for it.
    local before = tonumber(job.refused_at)
    put_off(options, id, job, said, token, answer.retry, options.unreachable_max, {})
    if not before or not accepted_since(account, math.max(before, steady - options.recent)) then close('unreachable') end
  end,
  unknown = function()
    if taken_before(account, options, id, job, settled) then return end
    local before, more = tonumber(job.refusals) or 0, { refusals = 0, refused_at = steady }
    if account.paused ~= 'breaker' then -- else it is the account that is refused, and no fax is the worse for it
      more.refusals = before + 1
      if before > 0 then more.refused_at = tonumber(job.refused_at) end
      local others = before > 0 and accepted_since(account, more.refused_at)
      if others or more.refusals >= options.breaker_after then return fail(options, id, job, said, settled) end
    end
    put_off(options, id, job, said, token, answer.retry, options.retry_max, more)
  end,
  retry = function()
    if taken_before(account, options, id, job, settled, true) then return end
    if job.tries >= options.tries then return fail(options, id, job, said, settled) end
    retry(account, options, id, job, said, answer.retry, settled)
  end,
  in_doubt = function()
    local named, owner = answer.named or job.also, nil
    if named then owner = redis.call('GET', keys.job_ids .. named) end
    if owner and owner ~= id and not is_receipt(owner) then named = nil end -- it is another fax's
    settled.named = named and (answer.named and job.attempt or 0) .. ' ' .. named or ''
    doubt(account, options, id, job, said, token, settled)
    if named then -- iFax can be asked about it
      redis.call('HSET', keys.account_state, 'asking', '1')
      ask_about(account, options, id, steady)
    end
  end,
}

local function count_permit() -- it was given back
  if job.marked ~= '1' or answer.decision == 'released' then
    if answer.silent then learn(account, options, answer, granted_at) end
    return -- not a byte was sent
  end
  learn(account, options, answer, granted_at)
  if answer.decision == 'accepted' then note_acceptance(account, options, granted_at) end
  if answer.decision ~= 'in_doubt' then
    return answered(account, limits_of(options, account), token)
  end
  redis.call('ZADD', keys.permits, int(steady + options.linger), permit_of(token)) -- held while the request could live
  ring_by(account, now + options.linger)
end

if not job then
  result = 'stale'
elseif redis.call('ZREM', keys.permits, permit_of(token, id)) == 1 then
  count_permit()
  by_decision[answer.decision]()
  count_unknown(account, options, answer, granted_at)
  local sent = job.marked == '1' and answer.decision ~= 'released'
  probed(account, options, answer, granted_at, not apart and (sent or answer.decision == 'unreachable'))
elseif job.settled == token then
  result = 'repeated'
elseif answer.decision == 'accepted'
  and (job.job_id == answer.job_id or job.also == answer.job_id
    or redis.call('GET', keys.job_ids .. answer.job_id) == id) then
  result = 'repeated' -- a receipt, an operator or this call told it before
elseif answer.decision ~= 'in_doubt' then -- the lease ran out before the answer came
  local accepted, waits = answer.decision == 'accepted', job.state == 'in_doubt' or job.state == 'queued'
  if accepted and job.state == 'submitted' and (answer.attempt or 0) > job.attempt then
    -- Redis had lost that the delivery before failed, and that this call followed (recover).
    redis.call('ZREM', keys.submitted, id)
    job.resend_of, job.job_id, waits = job.job_id, nil, true
    redis.call('HSET', keys.job .. id, 'job_id', '')
  end
  local member = redis.call('HGET', keys.job .. id, doubt_field(token))
  if member then forget_doubt(member) end
  if accepted and waits or job.state == 'in_doubt' and job.doubted == token then
    -- It settles the doubt; and a job that an older attempt got accepted is not sent again.
    if job.state == 'queued' then leave_queue(options, id, job) end
    redis.call('ZREM', keys.in_doubt, id)
    if (answer.attempt or 0) > job.attempt then settled.attempt = answer.attempt end -- Redis had lost the attempt
    by_decision[answer.decision]()
    result = 'resolved'
  elseif accepted then
    duplicate(options, id, job, answer.job_id)
    result = 'duplicate'
  else
    result = 'stale'
  end
else
  result = 'stale'
end

if answer.call and result ~= 'repeated' and result ~= 'stale' then
  audit(options, options.who, answer.call, { job = id, attempt = answer.attempt,
    outcome = answer.outcome, status = answer.status, code = answer.code, reason = answer.reason,
    jobId = answer.job_id, ms = answer.ms })
end
local wakes, following = {}, nil
local function wake_others(r, most)
  local ready, out = unwoken()
  local moments = {}
  for i = 1, math.min(r.free - out, ready, most) do moments[i] = now_us end
  wakes = grant_wakes(moments, options.wake_lease)
  if account.waits ~= '1' then return end
  if ready <= #wakes then await_answer(account, '') elseif r.by_answer == false then ring_for_room() end
end
local function go_on()
  if account.newer or account.waits == 'time' then return end
  local stops = ARGV[5] == ''
  local r = room(account, limits_of(options, account))
  -- Where room is scarce, what is free may be for others who are on their way.
  if not stops and r.free > 0 and (r.free >= PLENTY or r.free > woken()) then
    following = admit_best(account, options, r, ARGV[5], tonumber(ARGV[6]))
    if not following then return account.waits == '1' and await_answer(account, '') end
    r.free = r.free - 1
  end
  if account.waits == '1' then -- the next job waits for an answer, and this was one
    wake_others(r, 10)
  elseif stops and r.free > 0 then
    wake_others(r, 1)
  end
end
if result == 'settled' then
  go_on()
elseif ARGV[5] ~= '' then
  following = admitted_before(options, ARGV[5])
end
return reply_at({ result = result, state = job and job.state, wakes = #wakes > 0 and wakes or nil,
  receipt = applied, apart = apart, submitted_at = job and tonumber(job.submitted_at), next = following,
  event = last_event })
