-- A receipt meets its job: the one place where a job is delivered, failed or canceled by what iFax says.
-- Whether the receipt of an older attempt came while this one was under way, and says that the fax was delivered.
local function is_delivered_before(id, job)
  local early = job.also and redis.call('GET', keys.job_ids .. job.also)
  early = is_receipt(early) and cjson.decode(early)
  return early and early.of == id and early.outcome == 'delivered'
end

-- Whether iFax's unclear answer to the attempt in doubt named this jobId.
local function is_named(job, job_id) return job.state == 'in_doubt' and job.named == int(job.attempt) .. ' ' .. job_id end

local apply_receipt
-- In other_requests.lua. Whether iFax may still deliver another request of the job, whose word it then waits for; and what a word
-- means under the jobId that an unclear answer named.
local await_other, take_named
local tell_other, next_other, meet_job
do
  local OPEN = { submitted = 'submitted', in_doubt = 'in_doubt', unconfirmed = 'submitted', queued = 'ready' }

  -- What an event tells of the receipt that led to it: its digest, and when the fax's own call began and ended (ms).
  local function facts_of(receipt)
    return { receipt = receipt.digest, call_started_at = receipt.started and receipt.started * 1000,
      call_ended_at = receipt.ended and receipt.ended * 1000 }
  end

  -- A fax of the job that does not count: iFax took it beside another, or it ended otherwise than the job did. It is told, and
  -- the record keeps what is known of it under `also:` and its jobId. receipt: how it ended, or nil.
  local UNSENT = { failed = true, canceled = true }
  local TOLD = { 'outcome', 'code', 'reason', 'pages', 'transferred', 'charged' }
  function tell_other(options, id, job, job_id, receipt)
    local data, known = receipt and facts_of(receipt) or {}, '1'
    if receipt then
      for _, name in ipairs(TOLD) do data[name] = receipt[name] end
      known = cjson.encode({ outcome = receipt.outcome, pages = receipt.pages, transferred = receipt.transferred, at = now })
      if receipt.outcome == 'delivered' and UNSENT[job.state] then receipt.after = job.state end
    end
    redis.call('HSET', keys.job .. id, 'also:' .. job_id, known)
    data.state, data.attempt = job.state, job.attempt
    tell_cause(job, data)
    job.event = emit(options.cap, 'fax.duplicate', id, to_json(data, job_id, job.metadata))
  end

  -- The jobId of another request of the job, but for this one, whose end is not known; or the empty text.
  function next_other(id, job_id)
    local all = redis.call('HGETALL', keys.job .. id)
    for i = 1, #all, 2 do
      local other = all[i + 1] == '1' and string.match(all[i], '^also:(.*)$')
      if other and other ~= job_id then return other end
    end
    return ''
  end

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

  -- A word on an older request, while another is under way, or after which iFax may call again. It ends the job if the other one
  -- comes to nothing; if it says delivered, whatever that one comes to.
  local function keep_word(options, id, job, receipt)
    receipt.of, job.also = id, receipt.job_id
    redis.call('SET', keys.job_ids .. receipt.job_id, cjson.encode(receipt), 'PX', options.keep)
    redis.call('HSET', keys.job .. id, 'also', receipt.job_id)
    return 'held'
  end

  -- The word on an older request, whose delivery failed: it is waited for no longer.
  local function fail_other(options, id, job, receipt)
    local waited_for = job.also == receipt.job_id
    if not waited_for and redis.call('HGET', keys.job .. id, 'also:' .. receipt.job_id) ~= '1' then return 'repeated' end
    if may_redial(options, receipt) then return keep_word(options, id, job, receipt) end
    tell_other(options, id, job, receipt.job_id, receipt)
    if waited_for then
      local other = next_other(id, receipt.job_id)
      redis.call('HSET', keys.job .. id, 'also', other)
      job.also = other ~= '' and other or nil
    end
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

  -- receipt: {job_id, outcome, code, reason, message, pages, transferred, again (the name of the waits), lower (the next try
  -- needs a lower quality), started, ended (s), digest and raw (as it came, only while an archive is on)}. batch: of
  -- lib/endings.lua, or nil. Returns applied, repeated, held or resolved_doubt, and sets receipt.retried if the job has not
  -- ended.
  function apply_receipt(options, id, job, receipt, batch)
    local before = job.state
    if not OPEN[before] then return 'repeated' end
    if may_redial(options, receipt) then
      hold_failure(options, id, receipt)
      return 'held'
    end
    local later = not (job.also or job.undecided) and batch or nil -- await_other may put the job into the index again
    if before == 'queued' then leave_queue(options, id, job) else take_out(later, 'ZREM', keys[OPEN[before]], id) end
    if before == 'unconfirmed' then count_ended(batch, 'unconfirmed', -1) end
    local said = { code = receipt.code, reason = receipt.reason, message = receipt.message, pages = receipt.pages,
      transferred = receipt.transferred }
    local changes = { job_id = receipt.job_id, state = receipt.outcome }
    for name, value in pairs(said) do changes[name] = value end
    said.charged = receipt.charged
    for name, value in pairs(facts_of(receipt)) do said[name] = value end
    if job.resend_of then changes.resend_of = '' end
    if receipt.outcome == 'failed' then changes.deliveries = (tonumber(job.deliveries) or 0) + 1 end
    changes.redial = receipt.redial or job.redial and ''
    local wait, stopped_by = next_delivery(options, job, receipt, changes.deliveries)
    local end_of_one = receipt.outcome ~= 'delivered' and before ~= 'unconfirmed'
    if end_of_one and await_other(options, id, job, receipt, changes, wait) then
      leave_line(options, id, job, batch)
    elseif wait then
      deliver_again(options, id, job, receipt, changes, said, wait, batch)
    else
      if receipt.outcome == 'failed' then
        said.stage, said.delivery, said.attempts = 'delivery', changes.deliveries, most_deliveries(options, job)
        said.stopped_by = stopped_by
      end
      said.partial = receipt.outcome == 'delivered' and (receipt.transferred or 0) < (receipt.pages or 0)
        and receipt.transferred ~= nil or nil
      transition(options.cap, id, job, 'fax.' .. receipt.outcome, ended(options, job, changes), said, receipt.raw)
      leave_line(options, id, job, batch)
      finish(options, id, job, batch)
    end
    receipt.raw = nil
    return (before == 'in_doubt' or before == 'queued') and 'resolved_doubt' or 'applied'
  end
end
