-- A receipt meets its job: the one place where a job is delivered, failed or canceled by iFax's word.
-- The key of a jobId holds the job's id or, while nobody knows the jobId, the JSON of the receipt that came early.
local function is_receipt(value) return value and string.sub(value, 1, 1) == '{' end

-- Receipts whose jobId nobody knows wait in `unmatched`; and until they were held against the doubts once they stand under
-- their recipient's last digits too, so that a doubt need not look through all of them. The key outlives the last of them
-- by nothing.
local function untried_of(number) return keys.untried .. tail_of(number) end

-- When (ms) no answer can claim a receipt any more that came now: each call that is under way has ended, also a large one,
-- whose lease grew with its size.
local function claimed_by(options)
  local last = redis.call('ZREVRANGE', keys.permits, 0, 0, 'WITHSCORES')[2]
  return int(math.max(steady + options.lease, tonumber(last) or 0) + options.sweep)
end

local function await_match(options, receipt)
  redis.call('ZADD', keys.unmatched, receipt.due, receipt.job_id)
  if not receipt.to then return end
  redis.call('SADD', untried_of(receipt.to), receipt.job_id)
  redis.call('PEXPIRE', untried_of(receipt.to), options.keep)
end

local function tried(receipt)
  if receipt.to then redis.call('SREM', untried_of(receipt.to), receipt.job_id) end
end

-- It needs no match any more: its jobId is known.
local function leave_unmatched(receipt)
  redis.call('ZREM', keys.unmatched, receipt.job_id)
  tried(receipt)
end

local OPEN = { submitted = 'submitted', in_doubt = 'in_doubt', unconfirmed = 'submitted', queued = 'ready' }

local LOWER = { HD = 'Standard', Standard = 'Low' }

-- The quality below the one that it was sent in; nil where there is none, or where a resend of another job's fax, which
-- takes no quality, is all there is.
local function lower_quality(job)
  return job.kind == 'send' and LOWER[job.lowered or job.quality or 'Standard'] or nil
end

local function most_deliveries(options, job) return tonumber(job.attempts) or options.deliveries end

-- A delivery that failed is tried again, after the wait (ms) that its cause has for so many, the last one repeated. Or nil
-- and what stops it: the cause, the attempts, expires_at.
local function next_delivery(options, job, receipt, deliveries)
  if receipt.outcome ~= 'failed' or job.state == 'unconfirmed' or job.canceling then return nil end
  local waits = receipt.again and options.again[receipt.again]
  if not waits or receipt.lower and not lower_quality(job) then return nil, 'cause' end
  if deliveries >= most_deliveries(options, job) then return nil, 'attempts' end
  local wait = waits[math.min(deliveries, #waits)]
  if job.expires_at and now + wait >= tonumber(job.expires_at) then return nil, 'expires_at' end
  return wait
end

-- By a resend of iFax's job. Where the quality is another one, it and all that follow go by a send of the whole fax.
local function deliver_again(options, id, job, receipt, changes, said, wait)
  changes.state, changes.resend_of, changes.tries = 'queued', receipt.job_id, 0
  if receipt.lower then changes.lowered = lower_quality(job) end
  said.stage, said.delivery, said.retry_at = 'delivery', changes.deliveries, now + wait
  said.attempts, said.wait, said.again = most_deliveries(options, job), wait, receipt.again
  said.quality = changes.lowered
  transition(options.cap, id, job, 'fax.retrying', changes, said)
  redis.call('HSET', keys.job .. id, 'job_id', '') -- so that this receipt, repeated, finds nothing to say
  job.job_id, receipt.retried = nil, true
  redis.call('ZADD', keys.delayed, int(now + wait), id)
  if job.expires_at then redis.call('ZADD', keys.expiring, job.expires_at, id) end
  leave_line(options, id, job)
  ring_by_alarm(now + wait)
end

-- iFax may call again by itself after a failure that has a number (`redial`), and nobody tells the last of them. So such a
-- failure is held, and is the last where no other word comes in time; a resend of ours before that might double the fax.
local function may_redial(options, receipt)
  return receipt.outcome == 'failed' and receipt.redial and not receipt.last and options.redial_wait > 0
end

-- Whether a receipt is a later word on its fax than one that may not be the last.
local function is_later(options, receipt, earlier)
  return may_redial(options, earlier)
    and (receipt.outcome ~= 'failed' or not receipt.redial or receipt.redial > earlier.redial)
end

local function hold_failure(options, id, receipt)
  local held = redis.call('HGET', keys.job .. id, 'held')
  held = held and held ~= '' and cjson.decode(held)
  if held and held.job_id == receipt.job_id and held.redial >= receipt.redial then return end -- a repeat
  local kept = {}
  for name, value in pairs(receipt) do
    if name ~= 'to' and name ~= 'sender' then kept[name] = value end
  end
  redis.call('HSET', keys.job .. id, 'held', cjson.encode(kept))
  redis.call('ZADD', keys.held, int(steady + options.redial_wait), id)
  ring_by_alarm(now + options.redial_wait)
end

-- A receipt that names the job's jobId. A job that waits to be sent again is not, where iFax says that one of its requests was
-- delivered after all.
local apply_receipt
local function meet_job(options, id, job, receipt)
  local after_all = job.state == 'queued' and receipt.outcome == 'delivered'
  if not after_all and (job.job_id ~= receipt.job_id or job.state == 'queued') then return 'repeated' end
  return apply_receipt(options, id, job, receipt)
end

-- receipt: a table with job_id, outcome, code, reason, message, pages, transferred, again (the waits' name), lower (the
-- next try has to be in a lower quality). Returns
-- applied, repeated, held or resolved_doubt; and receipt.retried is set where the job is not at its end.
function apply_receipt(options, id, job, receipt)
  local before = job.state
  if not OPEN[before] then return 'repeated' end
  if may_redial(options, receipt) then
    hold_failure(options, id, receipt)
    return 'held'
  end
  if before == 'queued' then leave_queue(options, id, job) else take_out('ZREM', keys[OPEN[before]], id) end
  if before == 'unconfirmed' then count_ended('unconfirmed', -1) end
  local said = { code = receipt.code, reason = receipt.reason, message = receipt.message, pages = receipt.pages,
    transferred = receipt.transferred }
  local changes = { job_id = receipt.job_id, state = receipt.outcome }
  for name, value in pairs(said) do changes[name] = value end
  said.charged = receipt.charged
  if job.resend_of then changes.resend_of = '' end
  if receipt.outcome == 'failed' then changes.deliveries = (tonumber(job.deliveries) or 0) + 1 end
  local wait, stopped_by = next_delivery(options, job, receipt, changes.deliveries)
  if wait then
    deliver_again(options, id, job, receipt, changes, said, wait)
  else
    if receipt.outcome == 'failed' then
      said.stage, said.delivery, said.attempts = 'delivery', changes.deliveries, most_deliveries(options, job)
      said.stopped_by = stopped_by
    end
    said.partial = receipt.outcome == 'delivered' and (receipt.transferred or 0) < (receipt.pages or 0)
      and receipt.transferred ~= nil or nil
    transition(options.cap, id, job, 'fax.' .. receipt.outcome, ended(options, job, changes), said)
    leave_line(options, id, job)
    finish(options, id, job)
  end
  return (before == 'in_doubt' or before == 'queued') and 'resolved_doubt' or 'applied'
end
