-- examine: compares what a process remembers doing with the state. What the state does not know is stored in `lost`,
-- and the account is paused, until an operator looks at it and `recover` puts it in order.
-- include: clock bell record offers account_hash closing lineage past
-- ARGV  JSON {who, seen (the last event that the caller wrote or saw), unknown (it has forgotten what it did after the
--       state's end), items = [{kind = call, token, job, attempt, at (ms, of the mark), job_id, decision, entry} or {kind =
--       push | cancel, job, entry (of intake), at (ms)}]}, most items that are kept
-- reply JSON list, one an item: known, answer (the call is known and its answer is not: settle again) or lost
local NEVER_US = 9e15
local evidence, most = cjson.decode(ARGV[1]), tonumber(ARGV[2])

local function examine_call(item)
  local known, answered = knows_call(keys.job .. item.job, item.token)
  if not known then
    local record = redis.call('HMGET', keys.job .. item.job, 'state', 'permit')
    if record[1] == 'submitting' and record[2] == item.token then -- nothing but its mark is missing
      redis.call('HSET', keys.job .. item.job, 'marked', '1')
      known = true
    end
  end
  known = known or item.job_id and redis.call('GET', keys.job_ids .. item.job_id) == item.job
  if not known then return is_past(item) and 'known' or 'lost' end
  return item.decision and not answered and 'answer' or 'known'
end

local function examine_push(item)
  if is_past(item) or #redis.call('XRANGE', keys.intake, item.entry, item.entry) > 0 then return 'known' end
  local state = redis.call('HGET', keys.job .. item.job, 'state')
  if item.kind == 'cancel' then return FINAL[state] and 'known' or 'lost' end -- else it may be sent again, or pushed
  return state and 'known' or 'lost'
end

local found, missing = {}, {}
for i, item in ipairs(evidence.items) do
  found[i] = item.kind == 'call' and examine_call(item) or item.kind ~= 'call' and examine_push(item)
  if found[i] == 'lost' then table.insert(missing, item) end
end
if #missing > 0 or evidence.unknown then
  local account = read_account()
  local before = redis.call('HMGET', keys.account_state, 'base', 'lost_until', 'lost_more')
  local room, more = most - redis.call('HLEN', keys.lost), tonumber(before[3]) or 0
  for _, item in ipairs(missing) do
    local field = item.kind .. ':' .. (item.token or item.job)
    if redis.call('HEXISTS', keys.lost, field) == 0 then room = room - 1 end
    if room >= 0 then
      item.who = evidence.who
      redis.call('HSET', keys.lost, field, cjson.encode(item))
    else
      room, more = 0, more + 1
    end
  end
  if not before[2] or before[2] == '' or earlier(before[2], evidence.seen) then before[2] = evidence.seen end
  redis.call('HSET', keys.account_state, 'lost_until', before[2], 'lost_more', int(more))
  if evidence.unknown then redis.call('HSET', keys.account_state, 'lost_unknown', '1') end
  if account.paused ~= ROLLED_BACK then
    redis.call('HSET', keys.account_state, 'paused_before', account.paused == 'operator' and 'operator' or '', 'lost_from',
      before[1] or NOWHERE)
    begin_pause(account, ROLLED_BACK, evidence.who, "what was done is missing from Redis' state")
    account.probe_at = NEVER_US -- an older process beside ours would probe
    save(account, 'probe_at')
    ring()
  end
end
return #found > 0 and cjson.encode(found) or '[]'
