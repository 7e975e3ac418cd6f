-- A receipt meets its job: the one place where a job is delivered, failed or canceled by iFax's word.
-- receipt: a table with outcome, code, reason, message, pages, transferred. Returns applied or repeated.
local function apply_receipt(keys, options, id, job, receipt)
  local open = job.state == 'submitted' or job.state == 'in_doubt' or job.state == 'unconfirmed'
  if not open then return 'repeated' end
  local before = job.state
  local data = { code = receipt.code, reason = receipt.reason, message = receipt.message, pages = receipt.pages,
    transferred = receipt.transferred }
  redis.call('ZREM', keys.submitted, id)
  redis.call('ZREM', keys.in_doubt, id)
  if before == 'unconfirmed' then redis.call('HINCRBY', keys.account, 'done:unconfirmed', -1) end
  transition(keys, options.cap, id, job, 'fax.' .. receipt.outcome, {
    state = receipt.outcome, code = receipt.code, reason = receipt.reason, message = receipt.message,
    pages = receipt.pages, transferred = receipt.transferred,
  }, data)
  finish(keys, id, receipt.outcome, options.retention)
  if before == 'in_doubt' then return 'resolved_doubt' end
  return 'applied'
end
