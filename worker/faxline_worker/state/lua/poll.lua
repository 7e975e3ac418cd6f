-- poll: decides about which jobs iFax is asked now. Their questions enter the ready set: as many as the share of each limit
-- has room for beside all submissions that are due. The last question about a fax waits only for its share.
-- include: clock record ready_set offers account_hash limits room control_calls polling question_times
-- ARGV  JSON options, most questions in one call, the steady clock as the caller knows it (ms, or empty)
-- reply JSON {asked (how many), next (ms until the next look; none: nothing is to be asked about), steady (ms)}
local options, most = cjson.decode(ARGV[1]), tonumber(ARGV[2])
local BLOCKED, UNANSWERED = 1000, 250 -- ms until the next look: where there is no room, or too many are under way
local account = read_account(options, ARGV[3])
if account.newer then return cjson.encode({ asked = 0 }) end
local polls, asks = keys.polls, keys.asks

local head = redis.call('ZRANGE', polls, 0, 0, 'WITHSCORES')[2]
if not head then
  if account.asking ~= '' then redis.call('HSET', keys.account_state, 'asking', '') end
  return reply_at({ asked = 0 })
end
if tonumber(head) > steady then return reply_at({ asked = 0, next = tonumber(head) - steady }) end

local limits = limits_of(options, account)
local r = room(account, limits)
local free, wait = r.free, r.opens and math.max(1, math.min(options.sweep, (r.opens - now_us) / 1000)) or BLOCKED
local behind = redis.call('ZCOUNT', keys.ready, '-inf', '(' .. int(POLL_PLACE)) -- submissions that are due, and control calls
-- The last question goes first, so it takes its turn even where each slot has its fax; but a fax is the better probe.
local last_free = (r.opens or r.probe) and math.max(0, r.free - behind) or PLENTY
local function bound(room_left, ms, but_last)
  if room_left < free then free, wait = math.max(0, room_left), ms end
  if not but_last then last_free = math.min(last_free, math.max(0, room_left)) end
end
local function share_of_limit(limit) return math.max(1, math.floor(limit * options.poll_share / 1000000)) end
if not r.opens then
  redis.call('ZREMRANGEBYSCORE', asks, '-inf', '(' .. int(now_us - limits.window))
  if limits.requests > 0 then
    local oldest = redis.call('ZRANGE', asks, 0, 0, 'WITHSCORES')[2]
    local leaves = oldest and oldest ~= 'inf' and (tonumber(oldest) + limits.window - now_us) / 1000 or BLOCKED
    bound(share_of_limit(limits.requests) - redis.call('ZCARD', asks), math.max(1, leaves))
    if limits.burst > 0 then
      bound(math.floor(share_of_limit(limits.burst) - r.held - r.level), limits.window / limits.requests / 1000, true)
    end
  end
  local at_once = share_of_limit(limits.concurrency > 0 and limits.concurrency or PLENTY)
  bound(at_once - redis.call('ZCOUNT', asks, '+inf', '+inf'), UNANSWERED)
end

local asked, held_back = 0, false
local due = redis.call('ZRANGEBYSCORE', polls, '-inf', int(steady), 'WITHSCORES', 'LIMIT', 0, most)
for i = 1, #due, 2 do
  local id, at = due[i], tonumber(due[i + 1])
  local last = at == LAST
  local job, newer_one = read_record(keys.job .. id, nil, true)
  local forgotten = job and job.state == 'in_doubt' and steady > asked_since(job) + options.doubt + options.deadline
  if newer_one or job and is_asked(id) then
    if last then -- it goes first, if nobody has it yet
      redis.call('ZADD', keys.ready, 'XX', int(now_us - EPOCH_US), control_call_of('poll', id))
    end
    redis.call('ZADD', polls, int(steady + options.lease), id)
  elseif not job or forgotten or not question_of(job) then
    redis.call('ZREM', polls, id)
  elseif asked + (last and 0 or behind) < (last and last_free or free) then
    redis.call('ZADD', keys.ready, int(last and now_us - EPOCH_US or POLL_PLACE), control_call_of('poll', id))
    redis.call('ZADD', asks, '+inf', '!' .. id)
    redis.call('ZADD', polls, int(next_question(options, job, last and 0 or steady - at)), id)
    asked = asked + 1
  else
    held_back = true
    break
  end
end
if held_back then return reply_at({ asked = asked, next = math.ceil(wait) }) end
head = redis.call('ZRANGE', polls, 0, 0, 'WITHSCORES')[2]
return reply_at({ asked = asked, next = head and math.max(1, tonumber(head) - steady) or nil })
