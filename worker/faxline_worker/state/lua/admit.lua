-- admit: takes the best job and a permit in one step, just before the call.
-- include: clock bell record ready_set lines permits offers account_hash limits room wakes probes control_calls
-- include: polling choice admission
-- ARGV  permit token (the caller's own: asked again with it, the answer is the same), wake-up token, JSON options, chance
--       (0 to 1, of this permit): below the starvation share, the oldest job is taken if it has starved, the steady clock
--       as the caller knows it (ms, or empty)
-- reply JSON {result = admitted, job, control_call (the member of the ready set, where it is one), attempt, kind, request,
--       waited (ms, first attempt, since it was due), due (its date has come), priority, number, born (ms), trace (the
--       producer's traceparent, where traces are on), linger (ms, the longest of any process)} or {result = held, limit}
--       or {result = idle}; with the steady clock (ms) where the account was read
local token, options, chance = ARGV[1], cjson.decode(ARGV[3]), tonumber(ARGV[4])
local IDLE = { result = 'idle' }

if ARGV[2] ~= '' then redis.call('ZREM', keys.wakes, ARGV[2]) end
local before, granted, held = admitted_before(options, token)
if granted then return cjson.encode(before or IDLE) end

local account = read_account(options, ARGV[5])
if account.newer then return reply_at({ result = 'held', limit = 'layout' }) end
local r = room(account, limits_of(options, account), held)
if r.free > 0 then return reply_at(admit_best(account, options, r, token, chance) or IDLE) end
if redis.call('ZCARD', keys.ready) == 0 then return reply_at(IDLE) end
if r.by_answer then await_answer(account, '1') elseif r.by_answer == false then ring_for_room() end
return reply_at({ result = 'held', limit = r.limit })
