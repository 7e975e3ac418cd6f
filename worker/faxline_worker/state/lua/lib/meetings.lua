-- A receipt meets its job: whether it is the word on the job's last request, on another one, or on a job that has ended.

-- Whether iFax's unclear answer to the attempt in doubt named this jobId.
local function is_named(job, job_id) return job.state == 'in_doubt' and job.named == int(job.attempt) .. ' ' .. job_id end

do
  -- A receipt of a job that has ended. If it says delivered, and neither the job nor an earlier one does, that is told.
  local function meet_ended(options, id, job, receipt)
    local counts = job.state == 'delivered' and job.job_id == receipt.job_id
    if counts or receipt.outcome ~= 'delivered' then return 'repeated' end
    local known = redis.call('HGET', keys.job .. id, 'also:' .. receipt.job_id)
    if known and string.find(known, '"outcome":"delivered"', 1, true) then return 'repeated' end
    tell_other(options, id, job, receipt.job_id, receipt)
    if job.state == 'delivered' and not known then receipt.after = job.state end -- that iFax took it twice is news
    return 'told'
  end

  -- The job waits for its next delivery, because iFax had not called again for long enough; but now it did. So it waits on.
  local function wait_on(options, id, job, receipt)
    if receipt.redial <= (tonumber(job.redial) or -1) then return 'repeated' end
    local due = math.max(tonumber(redis.call('ZSCORE', keys.delayed, id)) or 0, now + options.redial_wait)
    leave_queue(options, id, job)
    redis.call('ZADD', keys.delayed, int(due), id)
    redis.call('HSET', keys.job .. id, 'redial', int(receipt.redial))
    return 'held'
  end

  -- A receipt that names a jobId of the job's. It is the word on the last request. But where any of its requests was
  -- delivered, the job is: nothing of it is sent again, whatever the last one comes to.
  function meet_job(options, id, job, receipt, batch)
    local delivered = receipt.outcome == 'delivered'
    if job.state == 'submitting' and (job.also == receipt.job_id or delivered and not is_delivered_before(id, job)) then
      return keep_word(options, id, job, receipt)
    end
    if not OPEN[job.state] then return meet_ended(options, id, job, receipt) end
    local last = job.job_id == receipt.job_id and job.state ~= 'queued' or is_named(job, receipt.job_id)
    if job.state == 'queued' and may_redial(options, receipt)
      and (job.resend_of == receipt.job_id or job.redial and is_guess(id, receipt.job_id)) then
      return wait_on(options, id, job, receipt)
    end
    if not last and not delivered then return fail_other(options, id, job, receipt) end
    if is_named(job, receipt.job_id) then take_named(options, id, job, receipt) end
    return apply_receipt(options, id, job, receipt, batch)
  end
end
