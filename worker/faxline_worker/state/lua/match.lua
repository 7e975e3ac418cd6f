-- match: receipts whose jobId no answer claimed in time are matched with doubts, with the oldest doubt that fits.
-- include: clock bell record events group_lives endings ready_set lines line_ends numbers unmatched redeliveries
-- include: redials early_receipts doubts fitting matching offers account_hash other_words outcomes control_calls
-- include: other_requests receipts meetings
-- ARGV  JSON options, most receipts in one call, the steady clock as the caller knows it (ms, or empty)
-- reply JSON list of {result = resolved_doubt | held | duplicate, job, attempt, receipt (`applied`: of a duplicate, it
--       delivered the job; `after`: how the job had ended that turns out to be delivered)}
local ENOUGH = 200 -- doubts that one call looks at
local options, done, looks = cjson.decode(ARGV[1]), {}, { count = 0, read = {} }
local account = read_account(options, ARGV[3])
keep_for_archive(options, account.archive)
local old = may_be_old(account)
local stepped = redis.call('HMGET', keys.account_state, 'stepped', 'stepped_until')
if (tonumber(stepped[2]) or 0) > steady then options.stepped = tonumber(stepped[1]) end

-- The receipt may be about a call that was lost, and whose doubt is entered only when an operator has the account go on. So
-- it is kept until then, as one that was not compared yet: no policy is applied before it is.
local function keep_until_known(receipt)
  receipt.due = int(steady + options.sweep)
  redis.call('SET', keys.job_ids .. receipt.job_id, cjson.encode(receipt), 'PX', options.keep)
  await_match(options, receipt)
end

-- A doubt may be entered later. So the receipt is looked at again, each time after twice as long; and often enough that it is
-- looked at between a doubt's entry and its policy.
local function look_again(receipt)
  local wait = math.max(options.sweep, math.min(steady - receipt.at, options.doubt / 2))
  redis.call('ZADD', keys.unmatched, int(steady + wait), receipt.job_id)
  note_tried(receipt)
end

-- The job is settled where it waits for this word: in doubt about its last attempt, or delivered by an earlier one (a job
-- that was to be sent again is not). Anything else is reported as a duplicate; what was delivered is not sent again, either.
local function settle_doubt(receipt, member, id, job)
  local delivered, last = receipt.outcome == 'delivered', member == doubt_of(job, id)
  forget_doubt(member)
  redis.call('HSET', keys.job .. id, 'guess:' .. receipt.job_id, '1')
  if job.state == 'in_doubt' and last and may_redial(options, receipt) then -- iFax took it, and is not at its end
    redis.call('ZREM', keys.in_doubt, id)
    accept(account, options, id, job, receipt.job_id, {})
    return 'held'
  end
  leave_unmatched(receipt)
  if job.state == 'in_doubt' and (last or delivered) or job.state == 'queued' and delivered then
    redis.call('SET', keys.job_ids .. receipt.job_id, id, 'PX', options.retention + options.deadline)
    return apply_receipt(options, id, job, receipt)
  end
  return 'duplicate', accept_other(options, id, job, receipt.job_id)
end

for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', keys.unmatched, '-inf', int(steady), 'LIMIT', 0, tonumber(ARGV[2]))) do
  if looks.count >= ENOUGH then break end -- the others are for the next turn
  local text = redis.call('GET', keys.job_ids .. job_id)
  if not is_receipt(text) then
    redis.call('ZREM', keys.unmatched, job_id)
  else
    local receipt = cjson.decode(text)
    local member, id, job
    if not old then member, id, job = find_doubt(receipt, options, looks) end
    if member then
      local result, early = settle_doubt(receipt, member, id, job)
      table.insert(done, { result = result, job = id, attempt = job.attempt, receipt = early or receipt })
    elseif old then
      keep_until_known(receipt)
    else
      look_again(receipt)
    end
  end
end
return #done > 0 and cjson.encode(done) or '[]'
