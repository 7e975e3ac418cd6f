-- receipt: one entry of the status stream meets its job, and leaves the stream.
-- include: clock bell record lines receipts
-- KEYS  status, account, submitted, in_doubt, expiring, events, unmatched, job prefix, jobId prefix
-- ARGV  stream entry, JSON receipt {job_id, outcome, code, reason, message, pages, transferred, to, sender, started,
--       again}, JSON options
-- reply JSON {result = applied | repeated | resolved_doubt | unmatched | gone, job, attempt, submitted_at, retried}
local keys = { account = KEYS[2], submitted = KEYS[3], in_doubt = KEYS[4], expiring = KEYS[5], events = KEYS[6],
  unmatched = KEYS[7], job = KEYS[8], job_ids = KEYS[9] }
local options, receipt = cjson.decode(ARGV[3]), cjson.decode(ARGV[2])
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return cjson.encode({ result = 'gone' }) end
local function leave(reply) -- last, for a script that raises is not undone, and the receipt must not be lost
  redis.call('XDEL', KEYS[1], ARGV[1])
  return cjson.encode(reply)
end
local id = redis.call('GET', keys.job_ids .. receipt.job_id)
if not id then -- nobody knows the jobId yet: a submission in flight may claim it when its answer arrives
  receipt.at = now
  redis.call('SET', keys.job_ids .. receipt.job_id, cjson.encode(receipt), 'PX', options.keep)
  redis.call('ZADD', keys.unmatched, int(now + options.lease + options.sweep), receipt.job_id)
  return leave({ result = 'unmatched' })
end
local job = not is_receipt(id) and read_record(keys.job .. id)
-- A job that waits to be sent again is not, where iFax says that one of its requests was delivered after all.
local after_all = job and job.state == 'queued' and receipt.outcome == 'delivered'
if not after_all and (not job or job.job_id ~= receipt.job_id or job.state == 'queued') then
  return leave({ result = 'repeated', job = job and id or nil })
end
local result = apply_receipt(keys, options, id, job, receipt)
return leave({ result = result, job = id, attempt = job.attempt, submitted_at = tonumber(job.submitted_at),
  retried = receipt.retried })
