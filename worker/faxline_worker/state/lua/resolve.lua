-- resolve: an operator settles a doubt. The order leaves its stream.
-- include: clock bell record events group_lives endings ready_set lines line_ends offers account_hash numbers unmatched
-- include: redeliveries redials doubts other_words outcomes control_calls other_requests receipts meetings returns
-- include: timer_words orders audit
-- ARGV  stream entry, job id, accepted, resend or fail, jobId (of accepted), who orders it, JSON options,
--       who orders it (for the event, or empty), the attempt that this person saw in doubt, and when the fax that was seen was
--       registered (ms; each or empty)
-- reply JSON {result = done | refused (the job is not in doubt, or `why`) | taken (the jobId belongs to another job) | lost (it
--       cannot be sent again: Redis went back, and nothing is left of its content) | gone, receipt (that had come before
--       and was applied), failed (the job failed by this)}; unless it is gone, the result is also in the stream `reply`, with
--       the job's `state` or the other `job`. why: sent_again (another attempt is in doubt by now: `attempt`) | pushed_again (the
--       id is another fax's by now) | word_waits (a receipt is to be read, or one to its number to be matched, first) |
--       other_number (the receipt that came under the jobId is about a fax to another number) | told_failed (iFax told of
--       this jobId that its delivery failed)
local id, how, job_id, options, seen = ARGV[2], ARGV[3], ARGV[4], cjson.decode(ARGV[6]), tonumber(ARGV[8])
local job = read_record(keys.job .. id, 'digest') -- first, for it may refuse
local order = take_order(ARGV[1])
if not order then return cjson.encode({ result = 'gone' }) end
local applied, failed, why
local function done(result, ...)
  local taken = result == 'taken' -- for a reader of the audit it would say that iFax took the fax
  audit(options, ARGV[5], 'resolve ' .. how, { user = order.user, job = id, outcome = taken and 'refused' or result,
    jobId = job_id, about = taken and 'other_fax' or why })
  return cjson.encode({ result = answer(ARGV[1], result, ...), receipt = applied, failed = failed })
end
local function refuse(reason)
  why = reason
  if why == 'word_waits' then let_copies_run() end -- a copy may be carried out in a moment
  return done('refused', 'state', job.state, 'why', why, 'attempt', int(job.attempt))
end
-- Whether the jobId is of an older request of this fax, whose delivery failed. It is no word on the attempt in doubt.
local function has_failed()
  local flat = redis.call('HGETALL', keys.job .. id)
  for i = 1, #flat, 2 do
    if flat[i] == 'also:' .. job_id and flat[i + 1] ~= '1' then return true end
    local past = string.sub(flat[i], 1, 2) == 'h:' and flat[i + 1]
    if past and string.find(past, '"fax.retrying"', 1, true) and string.match(past, '"jobId":(%d+)') == job_id then
      return true
    end
  end
end
if not job or job.state ~= 'in_doubt' then return done('refused', 'state', job and job.state or '') end
if (ARGV[9] or '') ~= '' and ARGV[9] ~= job.created_at then return refuse('pushed_again') end
if seen and seen ~= job.attempt then return refuse('sent_again') end
local account, said = read_account(options), { reason = 'operator' }
keep_for_archive(options, account.archive)
job.cause = { by = ARGV[7] ~= '' and ARGV[7] or nil }
-- Not for all that a policy waits for: a receipt that was set aside, or a question while the account is paused, would hold up
-- an operator for ever.
local waits = redis.call('XLEN', keys.status) > 0 or untried({ options = options }, job.number)
if how ~= 'accepted' and waits then return refuse('word_waits') end
local older = how ~= 'accepted' and job.also
if how == 'accepted' then
  local known = redis.call('GET', keys.job_ids .. job_id)
  local receipt = is_receipt(known) and cjson.decode(known)
  local owner = receipt and receipt.of or not receipt and known
  if owner and owner ~= id then return done('taken', 'job', owner) end
  if receipt and receipt.to and job.number and not same_number(receipt.to, job.number) then
    return refuse('other_number')
  end
  if owner and has_failed() then return refuse('told_failed') end
  older = owner and not is_named(job, job_id) and job_id
end
if older then -- iFax has an older attempt: that one's result ends the job, as when this one comes to nothing
  redis.call('ZREM', keys.in_doubt, id)
  job_id, job.also = older, older
  local more = { undecided = how ~= 'resend' and job.doubted or nil, -- as where a policy gives it up (timer_doubts.lua)
    claimed = how == 'accepted' and older or nil }
  applied = select(2, fall_back_on_older(account, options, id, job, more, true))
elseif how == 'accepted' then
  forget_doubt(doubt_of(job, id))
  redis.call('ZREM', keys.in_doubt, id)
  applied = accept(account, options, id, job, job_id, { claimed = job_id })
elseif how == 'resend' and job.digest == LOST_DIGEST then
  return done('lost')
elseif how == 'resend' then
  redis.call('ZREM', keys.in_doubt, id)
  local over = is_over(job) -- who orders it now wants it now
  if over then redis.call('ZREM', keys.expiring, id) end
  retry(account, options, id, job, said, 0, { tries = 0, expires_at = over and '' or nil })
else
  redis.call('ZREM', keys.in_doubt, id)
  fail(options, id, job, said, {})
  failed = true
end
return done('done', 'state', job.state)
