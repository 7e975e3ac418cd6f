-- recover: an operator has ordered that the account goes on after its state went back. Some entries of `lost` are put in
-- order: a call becomes a doubt, or submitted if its jobId is known, so that its job is not sent again; a cancellation is
-- carried out again. What became of an entry stays with it in `lost` until the operator is told of all (`complete_order`).
-- include: clock bell record events group_lives endings ready_set lines line_ends permits offers account_hash limits
-- include: answers numbers unmatched redeliveries redials doubts other_words outcomes control_calls other_requests
-- include: receipts meetings lineage audit past stand_ins lost_calls lost_cancellations
-- ARGV  JSON list of fields of `lost`, those of one job in the order of their attempts, JSON options, JSON list of those
--       fields that are calls after which the job was called again, who orders it
-- reply JSON list, one a field, of {became = in_doubt | submitted | settled (a receipt had come before) | known (it is in
--       the state by now, or iFax had not taken it) | ended (the job has ended otherwise; an acceptance is told as
--       fax.duplicate) | canceled | gone (a fax that was pushed, and of which nothing is left) | done (there is no such
--       entry), job}; or looking: not every process has looked what of its own is missing, so nothing was done
local options = cjson.decode(ARGV[2])
local account, followed, by = read_account(options), {}, ARGV[4] ~= '' and ARGV[4] or nil
keep_for_archive(options, account.archive)
if verify_until(account) > now_us then return cjson.encode('looking') end
for _, field in ipairs(cjson.decode(ARGV[3])) do followed[field] = true end
local limits = limits_of(options, account)

local function recover(item, field)
  if item.kind == 'call' then
    local call = { account = account, options = options, limits = limits, by = by, followed = followed[field] }
    return recover_call(call, item)
  end
  if item.kind == 'cancel' then return cancel_lost(account, options, item, ARGV[4]) end
  if redis.call('EXISTS', keys.job .. item.job) == 1 then return 'known' end
  audit(options, ARGV[4], 'recover', { job = item.job, outcome = 'gone' }) -- the reply to the order lives for a minute
  return 'gone'
end

local replies = {}
for i, field in ipairs(cjson.decode(ARGV[1])) do
  local text = redis.call('HGET', keys.lost, field)
  local item = text and cjson.decode(text) or { became = 'done', job = '' }
  if not item.became then
    item.became = recover(item, field)
    redis.call('HSET', keys.lost, field, cjson.encode(item))
    note_past(options, item)
  end
  replies[i] = { became = item.became, job = item.job }
end
return #replies > 0 and cjson.encode(replies) or '[]'
