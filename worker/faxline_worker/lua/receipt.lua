-- receipt: one entry of the status stream meets its job, and leaves the stream.
-- include: clock record receipts
-- KEYS  status, account, submitted, in_doubt, expiring, events, dead, job prefix, jobId prefix
-- ARGV  stream entry, JSON receipt {job_id, outcome, code, reason, message, pages, transferred} or '' (it makes no
--       sense: it is set aside), JSON options {cap, retention, keep, dead_cap} (ms)
-- reply JSON {result = applied | repeated | resolved_doubt | unmatched | dead | gone, job, submitted_at}
local keys = { account = KEYS[2], submitted = KEYS[3], in_doubt = KEYS[4], expiring = KEYS[5], events = KEYS[6],
  job = KEYS[8] }
local entry, options = ARGV[1], cjson.decode(ARGV[3])
local found = redis.call('XRANGE', KEYS[1], entry, entry)
if #found == 0 then return cjson.encode({ result = 'gone' }) end
redis.call('XDEL', KEYS[1], entry)
if ARGV[2] == '' then
  redis.call('XADD', KEYS[7], 'MAXLEN', '~', options.dead_cap, '*', 'entry', entry, unpack(found[1][2]))
  return cjson.encode({ result = 'dead' })
end
local receipt = cjson.decode(ARGV[2])
local id = redis.call('GET', KEYS[9] .. receipt.job_id)
if not id then -- nobody knows the jobId yet: a submission in flight may claim it when its answer arrives
  redis.call('SET', KEYS[9] .. receipt.job_id, ARGV[2], 'PX', options.keep)
  return cjson.encode({ result = 'unmatched' })
end
local job = not is_receipt(id) and read_record(keys.job .. id)
if not job or job.job_id ~= receipt.job_id then
  return cjson.encode({ result = 'repeated', job = job and id or nil })
end
local result = apply_receipt(keys, options, id, job, receipt)
return cjson.encode({ result = result, job = id, attempt = job.attempt, submitted_at = tonumber(job.submitted_at) })
