-- resolve: an operator settles a doubt; the order leaves its stream.
-- include: clock bell record lines limits wakes numbers receipts doubts outcomes orders audit
-- KEYS  orders, reply, account, ready, delayed, submitted, in_doubt, expiring, events, unmatched, doubts,
--       doubts until, doorbell, job prefix, jobId prefix
-- ARGV  stream entry, job id, accepted, resend or fail, jobId (of accepted), who orders it, JSON options
-- reply JSON {result = done | refused (the job is not in doubt) | taken (the jobId belongs to another job) | lost (it cannot
--       be sent again: Redis went back, and nothing is left of its content) | gone, receipt (that had come before and was applied)}; but for gone the result is also in the stream `reply`, with the
--       job's `state` or the other `job`
local reply = KEYS[2]
local keys = { account = KEYS[3], ready = KEYS[4], delayed = KEYS[5], submitted = KEYS[6], in_doubt = KEYS[7],
  expiring = KEYS[8], events = KEYS[9], unmatched = KEYS[10], doubts = KEYS[11], doubts_until = KEYS[12],
  doorbell = KEYS[13], job = KEYS[14], job_ids = KEYS[15] }
local id, how, job_id, options = ARGV[2], ARGV[3], ARGV[4], cjson.decode(ARGV[6])
local job = read_record(keys.job .. id, 'digest') -- first, for it may refuse
local word = take_order(KEYS[1], ARGV[1])
if not word then return cjson.encode({ result = 'gone' }) end
local applied
local function done(result, more, value)
  audit(beside(keys, 'audit'), options, ARGV[5], 'resolve ' .. how, { user = word.user, job = id, outcome = result,
    jobId = job_id })
  return cjson.encode({ result = answer(reply, result, more, value), receipt = applied })
end
if not job or job.state ~= 'in_doubt' then return done('refused', 'state', job and job.state or '') end
local account, said = read_account(keys.account, options), { reason = 'operator' }
if how == 'accepted' then
  local known = redis.call('GET', keys.job_ids .. job_id)
  if known and known ~= id and not is_receipt(known) then return done('taken', 'job', known) end
  forget_doubt(keys, doubt_of(job, id))
  redis.call('ZREM', keys.in_doubt, id)
  applied = accept(keys, account, options, id, job, job_id, {})
elseif how == 'resend' and job.digest == LOST_DIGEST then
  return done('lost')
elseif how == 'resend' then
  redis.call('ZREM', keys.in_doubt, id)
  local over = is_over(job) -- who orders it now wants it now
  if over then redis.call('ZREM', keys.expiring, id) end
  retry(keys, account, options, id, job, said, 0, { tries = 0, expires_at = over and '' or nil })
else
  redis.call('ZREM', keys.in_doubt, id)
  fail(keys, options, id, job, said, {})
end
return done('done', 'state', job.state)
