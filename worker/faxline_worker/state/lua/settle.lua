-- settle: the answer of one call moves the job on and gives the permit back. `released` means that not a byte was sent. A
-- caller that is ready for the next call gets the best job along with the reply.
-- include: clock bell record events group_lives endings ready_set lines line_ends permits offers account_hash limits room
-- include: answers wakes probes closing acceptances account numbers unmatched redeliveries redials doubts other_words
-- include: outcomes control_calls other_requests receipts meetings returns polling audit choice admission decisions
-- include: late_answers next_call
-- ARGV  permit token, job id, JSON answer {decision, job_id, code, reason, message, retry, cooldown (ms), jitter, named
--       (the jobId in an answer that is unclear), silent, marked (the caller had written the mark), meaning (if the
--       answer's meaning is unknown), ours (it may be this process' own fault), late (the call began before this process
--       stepped back); and for the audit call, outcome, status, ms, started_at (ms: when it began)}, JSON options, the next
--       permit's token (empty: the caller stops here, and others are woken in its place), its chance (as for admit), the
--       steady clock as the caller knows it (ms, or empty)
-- reply JSON {result = settled | repeated | stale | forgotten | duplicate | resolved, state, wakes, receipt, submitted_at,
--       apart (true: other processes' calls are accepted, so this one is at fault), next (as admit has it), event (the last
--       that was written), after (a duplicate that was delivered: how the job had ended), steady (ms)}
local token, id = ARGV[1], ARGV[2]
local answer, options = cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
local decide = DECISIONS[answer.decision] -- first, because nothing that was written before an error is undone
if not decide then error({ err = 'ERR unknown decision ' .. tostring(answer.decision) }) end
local next_token = ARGV[5]
local job = read_record(keys.job .. id)
local account = read_account(options, ARGV[7])
keep_for_archive(options, account.archive)
if job and answer.call then job.cause = cause_of(answer.started_at, answer.ms) end
if job and answer.marked then job.marked = '1' end -- also if Redis lost it
local call = { account = account, options = options, id = id, job = job, token = token, answer = answer,
  granted_at = job and (tonumber(job.granted_at) or tonumber(job.admitted_at) or 0), -- older processes note only the second
  said = { code = answer.code, reason = answer.reason, message = answer.message }, settled = { settled = token } }

-- The permit was given back: what its answer tells of the account, and what counts under the limits.
local function count_permit()
  if job.marked ~= '1' or answer.decision == 'released' then
    if answer.silent then learn(account, options, answer, call.granted_at) end
    return -- not a byte was sent
  end
  learn(account, options, answer, call.granted_at)
  if answer.decision == 'accepted' then note_acceptance(account, options, call.granted_at) end
  if answer.decision ~= 'in_doubt' then
    return note_answer(account, limits_of(options, account), token)
  end
  redis.call('ZADD', keys.permits, int(steady + options.linger), permit_of(token)) -- held while the request could live
  ring_by(account, now + options.linger)
end

local result = 'stale'
if job and redis.call('ZREM', keys.permits, permit_of(token, id)) == 1 then
  result = 'settled'
  if job.unsent then redis.call('HSET', keys.job .. id, 'unsent', '') end -- its worker lives (timer_leases.lua)
  count_permit()
  decide(call)
  count_unknown(account, options, answer, call.granted_at)
  local sent = job.marked == '1' and answer.decision ~= 'released'
  end_probe(account, options, answer, call.granted_at, not call.apart and (sent or answer.decision == 'unreachable'))
elseif redis.call('EXISTS', keys.forgotten .. token) == 1 then -- the job may be another fax by now
  result, job = 'forgotten', nil
elseif job then
  result = settle_late(call)
end

if answer.call and result ~= 'repeated' and result ~= 'stale' and result ~= 'forgotten' then
  audit(options, options.who, answer.call, { job = id, attempt = answer.attempt, outcome = answer.outcome,
    status = answer.status, code = answer.code, reason = answer.reason, jobId = answer.job_id, ms = answer.ms })
end
local following, wakes = nil, {}
if result == 'settled' then
  following, wakes = go_on(account, options, next_token, tonumber(ARGV[6]))
elseif next_token ~= '' then
  following = admitted_before(options, next_token)
end
return reply_at({ result = result, state = job and job.state, wakes = #wakes > 0 and wakes or nil, receipt = call.applied,
  apart = call.apart, after = call.after, submitted_at = job and tonumber(job.submitted_at), next = following,
  event = job and job.event })
