-- A receipt meets its job: the one place where a job is delivered, failed or canceled by what iFax says.
local OPEN = { submitted = 'submitted', in_doubt = 'in_doubt', unconfirmed = 'submitted', queued = 'ready' }

-- What an event tells of the receipt that led to it: its digest, and when the fax's own call began and ended (ms).
local function facts_of(receipt)
  return { receipt = receipt.digest, call_started_at = receipt.started and receipt.started * 1000,
    call_ended_at = receipt.ended and receipt.ended * 1000 }
end

-- A receipt that names a jobId of the job's. It is the word on the last request. But where any of its requests was
-- delivered, the job is: nothing of it is sent again, whatever the last one comes to.
local apply_receipt
local function meet_job(options, id, job, receipt, batch)
  local last = job.job_id == receipt.job_id and job.state ~= 'queued'
  if not last and receipt.outcome ~= 'delivered' then return 'repeated' end
  return apply_receipt(options, id, job, receipt, batch)
end

-- receipt: {job_id, outcome, code, reason, message, pages, transferred, again (the name of the waits), lower (the next try
-- needs a lower quality), started, ended (s), digest and raw (as it came, only while an archive is on)}. batch: of lib/endings.lua, or nil. Returns applied, repeated, held or resolved_doubt, and sets
-- receipt.retried if the job has not ended.
function apply_receipt(options, id, job, receipt, batch)
  local before = job.state
  if not OPEN[before] then return 'repeated' end
  if may_redial(options, receipt) then
    hold_failure(options, id, receipt)
    return 'held'
  end
  if before == 'queued' then leave_queue(options, id, job) else take_out(batch, 'ZREM', keys[OPEN[before]], id) end
  if before == 'unconfirmed' then count_ended(batch, 'unconfirmed', -1) end
  local said = { code = receipt.code, reason = receipt.reason, message = receipt.message, pages = receipt.pages,
    transferred = receipt.transferred }
  local changes = { job_id = receipt.job_id, state = receipt.outcome }
  for name, value in pairs(said) do changes[name] = value end
  said.charged = receipt.charged
  for name, value in pairs(facts_of(receipt)) do said[name] = value end
  if job.resend_of then changes.resend_of = '' end
  if receipt.outcome == 'failed' then changes.deliveries = (tonumber(job.deliveries) or 0) + 1 end
  local wait, stopped_by = next_delivery(options, job, receipt, changes.deliveries)
  if wait then
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
