-- recover: an operator has ordered that the account goes on after its state went back. Some entries of `lost` are put in
-- order: a call becomes a doubt, or submitted if its jobId is known, so that its job is not sent again; a cancellation is carried out again. What became of an
-- entry stays with it in `lost` until the operator is told of all (`complete_order`).
-- include: clock bell record events group_lives endings ready_set lines line_ends permits offers account_hash limits
-- include: answered numbers unmatched redeliveries redials doubts other_words outcomes control_calls other_requests
-- include: receipts meetings lineage audit past stand_ins lost_cancellations
-- ARGV  JSON list of fields of `lost`, those of one job in the order of their attempts, JSON options, JSON list of those
--       fields that are calls after which the job was called again, who orders it
-- reply JSON list, one a field, of {became = in_doubt | submitted | settled (a receipt had come before) | known (it is in
--       the state by now, or iFax had not taken it) | ended (the job has ended otherwise; an acceptance is told as
--       fax.duplicate) | canceled | gone (a fax that was pushed, and of which nothing is left) | done (there is no such entry), job};
--       or looking: not every process has looked what of its own is missing, so nothing was done
local options = cjson.decode(ARGV[2])
local account, followed = read_account(options), {}
keep_for_archive(options, account.archive)
if verify_until(account) > now_us then return cjson.encode('looking') end
for _, field in ipairs(cjson.decode(ARGV[3])) do followed[field] = true end
local limits = limits_of(options, account)
local NOT_TAKEN = { refuse = true, retry = true, defer = true, pause = true, unreachable = true, unknown = true,
  released = true }

-- Takes the job out of where it stands; false where it stays: it has ended, or a later attempt is under way or taken.
local function take_up(item, job)
  if FINAL[job.state] then return false end
  if job.state == 'queued' then
    leave_queue(options, item.job, job)
  elseif job.state == 'submitting' then
    if job.marked == '1' then return false end
    redis.call('ZREM', keys.permits, permit_of(job.permit, item.job)) -- whoever holds it may not send any more
    job.attempt = job.attempt - 1
  elseif job.state == 'submitted' then
    if item.attempt <= job.attempt then return false end
    redis.call('ZREM', keys.submitted, item.job)
    job.resend_of, job.job_id = job.job_id, nil -- as `deliver_again`: its receipt is no word on the later attempt
    redis.call('HSET', keys.job .. item.job, 'job_id', '', 'resend_of', job.resend_of)
  else
    redis.call('ZREM', keys.in_doubt, item.job)
  end
  return true
end

-- A fax of which nothing is left, and a call after which it was called again: so this one had come to its end, and the last
-- one tells how the fax ended. Its receipt is no word on any other.
local function pass_over(item)
  local early = redis.call('SET', keys.job_ids .. item.job_id, item.job, 'PX', options.retention + options.deadline, 'GET')
  if is_receipt(early) then leave_unmatched(cjson.decode(early)) end
end

local function put_in_order(item, field)
  if redis.call('ZSCORE', keys.answers, item.token) == false then answered(account, limits, item.token) end
  if NOT_TAKEN[item.decision] or knows_call(keys.job .. item.job, item.token) then return 'known' end
  if item.job_id and redis.call('GET', keys.job_ids .. item.job_id) == item.job then return 'known' end
  local job = read_record(keys.job .. item.job)
  if not job and item.job_id and followed[field] then
    pass_over(item)
    return 'known'
  end
  job = job or stand_in(options, item)
  job.cause = { by = ARGV[4] ~= '' and ARGV[4] or nil, started_at = item.at }
  if not take_up(item, job) then
    if item.job_id then
      duplicate(options, item.job, job, item.job_id)
    else
      keep_doubt(options, item.job, { number = job.number, send_at = job.send_at, admitted_at = item.at }, item.token)
    end
    return 'ended'
  end
  job.admitted_at, job.attempt = int(item.at), math.max(job.attempt, item.attempt)
  local granted_at = item.at + steady - now -- what is known of its lease went with the call: it may have been the longest
  local more = { attempt = job.attempt, admitted_at = job.admitted_at, permit = item.token, marked = '1',
    granted_at = int(granted_at), lease = int(granted_at + options.lease + options.upload) }
  if item.job_id then
    more.settled = item.token
    return accept(account, options, item.job, job, item.job_id, more) and 'settled' or 'submitted'
  end
  doubt(account, options, item.job, job, LOST_CALL, item.token, more)
  return 'in_doubt'
end

local function recover(item, field)
  if item.kind == 'call' then return put_in_order(item, field) end
  if item.kind == 'cancel' then return cancel_lost(account, options, item, ARGV[4]) end
  if redis.call('EXISTS', keys.job .. item.job) == 1 then return 'known' end
  audit(options, ARGV[4], 'recover', { job = item.job, outcome = 'gone' }) -- the reply to the order lives for a minute
  return 'gone'
end

local replies = {}
for i, field in ipairs(cjson.decode(ARGV[1])) do
  local text = redis.call('HGET', keys.lost, field)
  local item = text and cjson.decode(text) or { became = 'done', job = '' }
  if not item.became then
    item.became = recover(item, field)
    redis.call('HSET', keys.lost, field, cjson.encode(item))
    note_past(options, item)
  end
  replies[i] = { became = item.became, job = item.job }
end
return #replies > 0 and cjson.encode(replies) or '[]'
