-- Whether a delivery that failed is tried again, and how.
local function most_deliveries(options, job) return tonumber(job.attempts) or options.deliveries end

local next_delivery, deliver_again
do
  local LOWER = { HD = 'Standard', Standard = 'Low' }

  -- The quality below the one that it was sent in. nil if there is none, or if only a resend of another job's fax is possible,
  -- which takes no quality.
  local function lower_quality(job)
    return job.kind == 'send' and LOWER[job.lowered or job.quality or 'Standard'] or nil
  end

  -- A delivery that failed is tried again after the wait (ms) that its cause has for this number of deliveries; the last wait
  -- repeats. Or nil, and what stops it: the cause, the attempts, expires_at.
  function next_delivery(options, job, receipt, deliveries)
    if receipt.outcome ~= 'failed' or job.state == 'unconfirmed' or job.canceling then return nil end
    local waits = receipt.again and options.again[receipt.again]
    if not waits or receipt.lower and not lower_quality(job) then return nil, 'cause' end
    if deliveries >= most_deliveries(options, job) then return nil, 'attempts' end
    local wait = waits[math.min(deliveries, #waits)]
    if job.expires_at and now + wait >= tonumber(job.expires_at) then return nil, 'expires_at' end
    return wait
  end

  -- By a resend of iFax's job. If the quality changes, this and all later tries are sends of the whole fax. So is one after a
  -- receipt that was matched by number and time.
  function deliver_again(options, id, job, receipt, changes, said, wait, batch)
    changes.state, changes.tries = 'queued', 0
    changes.resend_of = not is_guess(id, receipt.job_id) and receipt.job_id
    if receipt.lower then changes.lowered = lower_quality(job) end
    said.stage, said.delivery, said.retry_at = 'delivery', changes.deliveries, now + wait
    said.attempts, said.wait, said.again = most_deliveries(options, job), wait, receipt.again
    said.quality = changes.lowered
    transition(options.cap, id, job, 'fax.retrying', changes, said, receipt.raw)
    redis.call('HSET', keys.job .. id, 'job_id', '') -- so that this receipt, repeated, finds nothing to say
    job.job_id, receipt.retried = nil, true
    redis.call('ZADD', keys.delayed, int(now + wait), id)
    if job.expires_at then redis.call('ZADD', keys.expiring, job.expires_at, id) end
    leave_line(options, id, job, batch)
    ring_by_alarm(now + wait)
  end
end
