-- run_timers: moves on everything of an account that is due, and says when to run again.
-- include: clock bell record lines limits wakes numbers receipts doubts outcomes control_calls polling audit streams
-- KEYS  account, ready, delayed, permits, answers, submitted, in_doubt, expiring, events, unmatched, doubts, doubts until,
--       doorbell, status, job prefix, jobId prefix
-- ARGV  JSON options, most items a kind in one go, the steady clock as the caller has it (ms; nothing: it has none), how far
--       Redis' clock stepped since the last run (ms; nothing: not at all)
-- reply JSON {next (ms until the next look), ready (a job or a permit came back: plan), match (receipts are due to
--       meet doubts), changes = [{job, event, reason}], failures = [{job, receipt}] (that were held and are the last), poll (jobs may be to be asked about), newer (a newer layout is stored: nothing was touched), steady (ms)}
local keys = { account = KEYS[1], ready = KEYS[2], delayed = KEYS[3], permits = KEYS[4], answers = KEYS[5],
  submitted = KEYS[6], in_doubt = KEYS[7], expiring = KEYS[8], events = KEYS[9], unmatched = KEYS[10],
  doubts = KEYS[11], doubts_until = KEYS[12], doorbell = KEYS[13], status = KEYS[14], job = KEYS[15],
  job_ids = KEYS[16] }
local options, most = cjson.decode(ARGV[1]), tonumber(ARGV[2])
local account, changes, look = read_account(keys.account, options, ARGV[3]), {}, false
if account.newer then return cjson.encode({ next = options.sweep, ready = false, match = false, newer = true }) end
local limits = limits_of(options, account)

-- Dates, and what is kept with them, are due by `now`; leases, waits and deadlines by `steady`.
local function due(key, clock) return redis.call('ZRANGEBYSCORE', key, '-inf', int(clock), 'LIMIT', 0, most) end
local function tell(id, event, reason) table.insert(changes, { job = id, event = event, reason = reason }) end

for _, id in ipairs(due(keys.delayed, now)) do -- retries, and faxes that were held here for a date
  redis.call('ZREM', keys.delayed, id)
  local job = not parse_control_call(id) and read_record(keys.job .. id)
  if parse_control_call(id) then
    send_control_call(keys, id)
  elseif job and job.state == 'queued' then
    enter_ready(keys, id, job)
    look = true
  end
end
for _, id in ipairs(due(beside(keys, 'scheduled'), now)) do -- the date of one that waits to be scheduled at iFax has come
  redis.call('ZREM', beside(keys, 'scheduled'), id)
  local place = redis.call('HGET', keys.job .. id, 'place')
  if place then redis.call('ZADD', keys.ready, 'XX', place, id) end
end
for _, number in ipairs(due(beside(keys, 'lines-until'), now)) do -- a lease on a line ran out, and jobs wait for it
  redis.call('ZREM', beside(keys, 'lines-until'), number)
  local line = read_line(keys, number)
  follow(keys, options, number, line)
  look = true
end
-- Nobody tells what became of a fax-cancel whose worker is gone: it is asked again.
local function lost_control_call(member, token)
  local kind, id = parse_control_call(member)
  if kind == 'poll' then
    end_question(keys, id, token)
    return ask_within(keys, id, 0)
  end
  local job = kind == 'cancel' and read_record(keys.job .. id)
  if job and job.state == 'submitted' and job.canceling and cancel_again(keys, options, id, job, 1000, true) then
    answer_cancel(keys, options, id, job, { reason = 'unknown' })
  end
end
for _, permit in ipairs(due(keys.permits, steady)) do -- leases that ran out, and requests that can live no longer
  local token, id = string.match(permit, '^[^|]*'), held_for(permit)
  local job = id and read_record(keys.job .. id)
  local lost = job and job.state == 'submitting' and job.permit == token
  redis.call('ZREM', keys.permits, permit)
  look = true
  if lost and job.marked ~= '1' then
    if not taken_before(keys, account, options, id, job, {}) then put_back(keys, options, id, job, '') end
  else
    if id then lost_control_call(id, token) end
    answered(keys, account, limits, token)
    if lost then
      doubt(keys, account, options, id, job, { reason = 'worker_lost', message =
        'the worker ended, or lost Redis, after the request had begun' }, token, {})
      tell(id, 'fax.in_doubt', 'worker_lost')
      audit(beside(keys, 'audit'), options, options.who, is_resent(job) and 'fax-resend' or 'fax-' .. job.kind,
        { job = id, attempt = job.attempt, outcome = 'in_doubt', reason = 'worker_lost' })
    end
  end
end
-- Whether its last question is still to be put: at the deadline each is asked about once more, for it may have ended since the last
-- moment of the schedule. For want of room the deadline waits for that, once more as long at the most.
local LAST_WAIT = 60000
local function still_to_ask(id, job)
  if options.asks ~= 1 or steady > asked_since(job) + 2 * options.deadline then return false end
  local at = redis.call('ZSCORE', beside(keys, 'polls'), id)
  return at and (tonumber(at) <= steady or is_asked(keys, id) or job.asked ~= '1')
end
for _, id in ipairs(due(keys.submitted, steady)) do -- no receipt in time
  redis.call('ZREM', keys.submitted, id)
  local job = read_record(keys.job .. id, 'held')
  if job and job.state == 'submitted' and job.held and job.held ~= '' then -- a failure is known, and will be told
    redis.call('ZADD', keys.submitted, int(steady + options.sweep), id)
  elseif job and job.state == 'submitted' and options.status_call and job.asked ~= '1' then
    redis.call('HSET', keys.job .. id, 'asked', '1') -- and if no answer to it comes, unconfirmed all the same
    redis.call('ZADD', keys.submitted, int(steady + options.ask), id)
    send_control_call(keys, control_call_of('status', id))
    look = true
  elseif job and job.state == 'submitted' and still_to_ask(id, job) then
    redis.call('HSET', keys.job .. id, 'asked', '1')
    redis.call('ZADD', beside(keys, 'polls'), LAST, id)
    redis.call('ZADD', keys.submitted, int(steady + LAST_WAIT), id)
  elseif job and job.state == 'submitted' then
    redis.call('ZREM', keys.ready, control_call_of('status', id), control_call_of('cancel', id))
    redis.call('ZREM', keys.delayed, control_call_of('cancel', id))
    transition(keys, options.cap, id, job, 'fax.unconfirmed',
      ended(options, job, { state = 'unconfirmed', reason = 'no_receipt' }), { reason = 'no_receipt' })
    leave_line(keys, options, id, job)
    finish(keys, options, id, job)
    tell(id, 'fax.unconfirmed', 'no_receipt')
  end
end
-- Whether words wait to be read that may have come before a doubt or a held failure was due, at `over`. A stream's ids tell no time once
-- Redis' clock has stepped. So the newest that waits is noted: once it is read, all is that came before.
local function later(a, b)
  local a_ms, a_n, b_ms, b_n = string.match(a .. ' ' .. b, '^(%d+)-(%d+) (%d+)-(%d+)')
  a_ms, b_ms = tonumber(a_ms), tonumber(b_ms)
  return a_ms > b_ms or a_ms == b_ms and tonumber(a_n) > tonumber(b_n)
end
local function unread(over)
  if waits_aside(keys.account, 'status') then return true end
  local oldest = redis.call('XRANGE', keys.status, '-', '+', 'COUNT', 1)[1]
  if not oldest then return false end
  local noted = redis.call('HMGET', keys.account, 'words', 'words_at')
  local all_read = noted[1] and later(oldest[1], noted[1])
  if all_read and over <= tonumber(noted[2]) then return false end
  if all_read or not noted[1] then
    local newest = redis.call('XREVRANGE', keys.status, '+', '-', 'COUNT', 1)[1]
    redis.call('HSET', keys.account, 'words', newest[1], 'words_at', int(steady))
  end
  return true
end
-- Whether a receipt was not held against the doubts yet: its recipient then.
local function untried_to(job_id)
  local text, score = redis.call('GET', keys.job_ids .. job_id), redis.call('ZSCORE', keys.unmatched, job_id)
  local receipt = score and is_receipt(text) and cjson.decode(text)
  local due = receipt and (tonumber(receipt.due) or receipt.at + options.lease + options.sweep)
  return receipt and tonumber(score) <= due and receipt.to or nil
end
local LOOK = 20
local by_older -- recipients of the next receipts that are to be tried: an older process does not put them under these
local function untried(number)
  if not number then return false end
  if not by_older then
    by_older = {}
    for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', keys.unmatched, '-inf',
      int(steady + options.lease + (options.upload or 0) + options.sweep), 'LIMIT', 0, LOOK)) do
      by_older[tail_of(untried_to(job_id) or '')] = true
    end
  end
  local known = redis.call('SRANDMEMBER', untried_of(keys, number), LOOK)
  for _, job_id in ipairs(known) do
    if untried_to(job_id) then return true end
    redis.call('SREM', untried_of(keys, number), job_id) -- an older process tried it, or nobody did in its time
  end
  return #known == LOOK or by_older[tail_of(number)] or false
end
-- Whether a word on a doubt may have come in time and has not been read, or not been held against the doubts.
local function word_waits(job, id)
  if unread(tonumber(redis.call('ZSCORE', keys.in_doubt, id))) then return true end
  local asked_at = job.named and tonumber(redis.call('ZSCORE', beside(keys, 'polls'), id) or nil)
  if asked_at and (asked_at <= steady or is_asked(keys, id)) then return true end
  return untried(job.number)
end
local old, put_off = may_be_old(account), false
local failures = {}
local held = beside(keys, 'held')
for _, id in ipairs(old and {} or due(held, steady)) do -- iFax did not call again: the failure is the last
  local job = read_record(keys.job .. id, 'held')
  local receipt = job and job.held and job.held ~= '' and cjson.decode(job.held)
  local waits = receipt and unread(tonumber(redis.call('ZSCORE', held, id))) -- the next word may be there
  if waits then
    put_off = true
  else
    redis.call('ZREM', held, id)
    if receipt then redis.call('HDEL', keys.job .. id, 'held') end
  end
  if receipt and not waits and job.job_id == receipt.job_id and (job.state == 'submitted' or job.state == 'unconfirmed') then
    receipt.last = true
    apply_receipt(keys, options, id, job, receipt)
    table.insert(failures, { job = id, receipt = receipt })
    look = true
  end
end
for _, id in ipairs(old and {} or due(keys.in_doubt, steady)) do -- the wait is over: the job's policy applies
  local job = read_record(keys.job .. id)
  local open = job and job.state == 'in_doubt'
  local policy = open and (job.in_doubt or options.then_)
  if policy == 'resend' and job.tries >= options.tries then policy = 'hold' end
  if open and policy ~= 'hold' and word_waits(job, id) then
    put_off = true
  else
    redis.call('ZREM', keys.in_doubt, id)
    if policy == 'resend' then
      if taken_before(keys, account, options, id, job, {}, true) then
        tell(id, 'fax.submitted', 'in_doubt')
      else
        retry(keys, account, options, id, job, { reason = 'in_doubt' }, 0, {})
        tell(id, 'fax.retrying', 'in_doubt')
        look = true
      end
    elseif policy == 'fail' then
      fail(keys, options, id, job, { reason = 'in_doubt' }, {})
      tell(id, 'fax.failed', 'in_doubt')
    elseif policy then
      redis.call('ZADD', keys.in_doubt, '+inf', id) -- held for an operator
    end
  end
end
for _, id in ipairs(old and {} or due(keys.expiring, now)) do -- not submitted by expires_at
  local job = read_record(keys.job .. id)
  if job and job.state == 'queued' then
    leave_queue(keys, options, id, job)
    fail(keys, options, id, job, { reason = 'expired' }, {})
    tell(id, 'fax.failed', 'expired')
  elseif job and job.state == 'submitting' then
    redis.call('ZADD', keys.expiring, int(now + 1000), id) -- it may come back to its place
  end
  if not job or job.state ~= 'submitting' then redis.call('ZREM', keys.expiring, id) end
end
for _, member in ipairs(due(keys.doubts_until, steady)) do
  local state = redis.call('HGET', keys.job .. string.match(member, '^[^|]*|[^|]*|(.*)$'), 'state')
  if state == 'in_doubt' then -- held: a receipt may still settle it
    redis.call('ZADD', keys.doubts_until, int(steady + options.deadline), member)
  else
    forget_doubt(keys, member)
  end
end

if limits.requests > 0 then
  redis.call('ZREMRANGEBYSCORE', keys.answers, '-inf', '(' .. int(now_us - limits.window))
end
redis.call('XTRIM', beside(keys, 'audit'), 'MINID', '~', int(math.max(0, math.min(now, steady) - options.audit)))
local wait = options.sweep -- the most, whatever the clock says
local function consider(keys_of, clock)
  for _, key in ipairs(keys_of) do
    local later = (key == keys.in_doubt or key == held) and (put_off or old) or key == keys.expiring and old
    local head = redis.call('ZRANGEBYSCORE', key, later and '(' .. int(clock) or '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if head[2] and head[2] ~= 'inf' then wait = math.min(wait, tonumber(head[2]) - clock) end
  end
end
consider({ keys.delayed, keys.expiring, beside(keys, 'scheduled'), beside(keys, 'lines-until') }, now)
consider({ keys.permits, keys.submitted, keys.in_doubt, held }, steady)
if put_off or old then wait = math.min(wait, 1000) end
local match = redis.call('ZRANGE', keys.unmatched, 0, 0, 'WITHSCORES')[2]
local due_to_match = match and tonumber(match) <= steady and not old or false
if match and tonumber(match) > steady then wait = math.min(wait, tonumber(match) - steady) end
if ARGV[4] ~= '' then note_step(keys.account, tonumber(ARGV[4]), options.doubt + options.deadline) end
redis.call('HSET', keys.account, 'alarm', int(now + wait), 'seen', int(TIME_US), 'requests', options.requests, 'window', options.window,
  'concurrency', options.concurrency, 'burst', options.burst, 'then', options.then_, 'deadline', options.deadline,
  'expected', options.expected, 'poll_share', options.asks == 1 and int(options.poll_share) or '', 'ceiling_jobs', options.ceiling_jobs, 'ceiling_bytes', int(options.ceiling_bytes))
return reply_at({ next = math.max(1, wait), ready = look, match = due_to_match,
  poll = (options.asks == 1 or account.asking ~= '') and true or nil,
  changes = #changes > 0 and changes or nil, failures = #failures > 0 and failures or nil })
