-- What a receipt does to its job: the one place where a job is delivered, failed or canceled by what iFax says.

-- The states in which a receipt may still end the job, each with the index that has it.
local OPEN = { submitted = 'submitted', in_doubt = 'in_doubt', unconfirmed = 'submitted', queued = 'ready' }

local apply_receipt
do
  -- What the receipt says: what the event tells of it, and what the record has of it.
  local function said_by(receipt)
    local said = { code = receipt.code, reason = receipt.reason, message = receipt.message, pages = receipt.pages,
      transferred = receipt.transferred }
    local changes = { job_id = receipt.job_id, state = receipt.outcome }
    for name, value in pairs(said) do changes[name] = value end
    said.charged = receipt.charged
    for name, value in pairs(receipt_facts(receipt)) do said[name] = value end
    return said, changes
  end

  -- The job ends as the receipt says. stopped_by: why a failed delivery is the last.
  local function end_job(options, id, job, receipt, changes, said, stopped_by, batch)
    if receipt.outcome == 'failed' then
      said.stage, said.delivery, said.attempts = 'delivery', changes.deliveries, most_deliveries(options, job)
      said.stopped_by = stopped_by
    end
    said.partial = receipt.outcome == 'delivered' and (receipt.transferred or 0) < (receipt.pages or 0)
      and receipt.transferred ~= nil or nil
    transition(options.cap, id, job, 'fax.' .. receipt.outcome, changes_at_end(options, job, changes), said, receipt.raw)
    leave_line(options, id, job, batch)
    finish(options, id, job, batch)
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
    local said, changes = said_by(receipt)
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
      end_job(options, id, job, receipt, changes, said, stopped_by, batch)
    end
    receipt.raw = nil
    return (before == 'in_doubt' or before == 'queued') and 'resolved_doubt' or 'applied'
  end
end
