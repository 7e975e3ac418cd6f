-- resolve: an operator settles a doubt; the order leaves its stream.
-- include: clock record limits wakes receipts doubts outcomes
-- KEYS  orders, account, ready, delayed, submitted, in_doubt, expiring, events, unmatched, doubts, doubts until,
--       doorbell, job prefix, jobId prefix
-- ARGV  stream entry, job id, accepted, resend or fail, jobId (of accepted), JSON options
-- reply done, refused (the job is not in doubt), taken (the jobId belongs to another job) or gone
local keys = { account = KEYS[2], ready = KEYS[3], delayed = KEYS[4], submitted = KEYS[5], in_doubt = KEYS[6],
  expiring = KEYS[7], events = KEYS[8], unmatched = KEYS[9], doubts = KEYS[10], doubts_until = KEYS[11],
  doorbell = KEYS[12], job = KEYS[13], job_ids = KEYS[14] }
local id, how, job_id, options = ARGV[2], ARGV[3], ARGV[4], cjson.decode(ARGV[5])
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 'gone' end
local job = read_record(keys.job .. id)
if not job or job.state ~= 'in_doubt' then return 'refused' end
local account, said = read_account(keys.account), { reason = 'operator' }
if how == 'accepted' then
  local known = redis.call('GET', keys.job_ids .. job_id)
  if known and not is_receipt(known) then return 'taken' end
  forget_doubt(keys, doubt_of(job, id))
  redis.call('ZREM', keys.in_doubt, id)
  accept(keys, account, options, id, job, job_id, {})
elseif how == 'resend' then
  redis.call('ZREM', keys.in_doubt, id)
  retry(keys, account, options, id, job, said, 0, { tries = 0 })
else
  redis.call('ZREM', keys.in_doubt, id)
  fail(keys, options, id, job, said, {})
end
return 'done'
