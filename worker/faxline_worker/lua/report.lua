-- report: the answer to an errand gives the permit back, and says how the fax stands.
-- include: clock record limits wakes account receipts outcomes errands
-- KEYS  account, ready, permits, holders, answers, submitted, in_doubt, expiring, events, doorbell, job prefix
-- ARGV  permit token, errand, JSON answer {decision, gate (ms), jitter, silent, reason, receipt, sending}, JSON options
-- reply JSON {result = applied (a final word) | later (it is still being sent) | unconfirmed | again (not now) |
--       repeated, job, submitted_at}
local keys = { account = KEYS[1], ready = KEYS[2], permits = KEYS[3], holders = KEYS[4], answers = KEYS[5],
  submitted = KEYS[6], in_doubt = KEYS[7], expiring = KEYS[8], events = KEYS[9], doorbell = KEYS[10], job = KEYS[11] }
local token, member, answer, options = ARGV[1], ARGV[2], cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
local _, id = parse_errand(member)
if redis.call('HDEL', keys.holders, token) == 0 then return cjson.encode({ result = 'repeated', job = id }) end
local account = read_account(keys.account)
local admitted_at = now_us / 1000 - (answer.seconds or 0) * 1000
learn(keys, account, options, answer, admitted_at)
if answer.decision == 'in_doubt' then
  redis.call('ZADD', keys.permits, int(now + options.linger), token)
else
  answered(keys, account, limits_of(options, account), token)
end

local job = read_record(keys.job .. id)
local function conclude()
  if not job or job.state ~= 'submitted' then return 'repeated' end
  if answer.decision == 'defer' or answer.decision == 'pause' then
    if answer.decision == 'pause' then
      pause(keys, account, options, answer.reason)
    else
      close_gate(keys, account, options, admitted_at, answer.gate, answer.jitter or 1)
    end
    send_errand(keys, member)
    return 'again'
  end
  if answer.receipt then
    apply_receipt(keys, options, id, job, answer.receipt)
    return 'applied'
  end
  if answer.sending then
    redis.call('HSET', keys.job .. id, 'asked', '')
    redis.call('ZADD', keys.submitted, int(now + options.ask), id)
    return 'later'
  end
  redis.call('ZREM', keys.submitted, id)
  transition(keys, options.cap, id, job, 'fax.unconfirmed', { state = 'unconfirmed', reason = 'no_receipt' },
    { reason = 'no_receipt' })
  finish(keys, id, job, options.retention)
  return 'unconfirmed'
end
return cjson.encode({ result = conclude(), job = id, submitted_at = job and tonumber(job.submitted_at) })
