-- run_timers: moves on everything of an account that is due, and says when to run again.
-- include: clock clock_steps bell record events group_lives endings ready_set lines line_ends permits offers account_hash
-- include: limits answers acceptances numbers unmatched redeliveries redials doubts other_words outcomes control_calls
-- include: other_requests receipts meetings returns polling question_times asked_again audit streams_aside timer_queue
-- include: timer_streams timer_leases timer_overdue timer_words timer_doubts
-- ARGV  JSON options, the most items of each kind, how far Redis' clock stepped since the last run (ms; nothing: not at
--       all), the steady clock as the caller knows it (ms, or empty)
-- reply JSON {next (ms until the next look), ready (a job or a permit came back: plan), match (receipts are due to meet
--       doubts), changes = [{job, event, reason}], failures = [{job, receipt}] (that were held and are the last), poll
--       (a status poll may be due), newer (a newer layout is stored: nothing was touched), steady (ms)}
local options, most = cjson.decode(ARGV[1]), tonumber(ARGV[2])
local account = read_account(options, ARGV[4])
keep_for_archive(options, account.archive)
if account.newer then return cjson.encode({ next = options.sweep, ready = false, match = false, newer = true }) end
local limits = limits_of(options, account)
local run = { options = options, account = account, limits = limits, most = most, old = may_be_old(account), changes = {},
  failures = {}, look = false, put_off = false }

for _, timer in ipairs({ run_delayed, run_scheduled, run_lines, run_leases, run_overdue, run_held, run_doubts, run_expiring,
  run_doubts_until }) do timer(run) end

if limits.requests > 0 then
  redis.call('ZREMRANGEBYSCORE', keys.answers, '-inf', '(' .. int(now_us - limits.window))
end
trim_streams(options)
local wait = options.sweep -- the most, whatever the clock says
local function consider(sets, clock)
  for _, key in ipairs(sets) do
    local later = (key == keys.in_doubt or key == keys.held) and (run.put_off or run.old)
      or (key == keys.expiring or key == keys.submitted) and run.old
    local head = redis.call('ZRANGEBYSCORE', key, later and '(' .. int(clock) or '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if head[2] and head[2] ~= 'inf' then wait = math.min(wait, tonumber(head[2]) - clock) end
  end
end
consider({ keys.delayed, keys.expiring, keys.scheduled, keys.lines_until }, now)
consider({ keys.permits, keys.submitted, keys.in_doubt, keys.held }, steady)
if run.put_off or run.old then wait = math.min(wait, 1000) end
local match = redis.call('ZRANGE', keys.unmatched, 0, 0, 'WITHSCORES')[2]
local due_to_match = match and tonumber(match) <= steady or false
if match and tonumber(match) > steady then wait = math.min(wait, tonumber(match) - steady) end
if ARGV[3] ~= '' then note_step(tonumber(ARGV[3]), options.keep) end
redis.call('HSET', keys.account_state, 'alarm', int(now + wait), 'seen', int(TIME_US), 'requests', options.requests,
  'window', options.window, 'concurrency', options.concurrency, 'burst', options.burst, 'then', options.then_,
  'deadline', options.deadline, 'expected', options.expected, 'poll_share',
  options.asks == 1 and int(options.poll_share) or '', 'ceiling_jobs', options.ceiling_jobs, 'ceiling_bytes',
  int(options.ceiling_bytes))
return reply_at({ next = math.max(1, wait), ready = run.look, match = due_to_match,
  poll = (options.asks == 1 or account.asking ~= '') and true or nil,
  changes = #run.changes > 0 and run.changes or nil, failures = #run.failures > 0 and run.failures or nil })
