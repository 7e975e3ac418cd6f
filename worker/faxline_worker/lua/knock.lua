-- knock: takes a permit for a call about no job, the question whether iFax takes the key. `report` hears its answer.
-- include: clock bell limits wakes account
-- KEYS  account, permits, holders, answers, doorbell
-- ARGV  permit token (the caller's own: asked again with it, the answer is the same), errand, JSON options
-- reply JSON {result = admitted} or {result = held, limit}
local keys = { account = KEYS[1], permits = KEYS[2], holders = KEYS[3], answers = KEYS[4], doorbell = KEYS[5] }
local token, options = ARGV[1], cjson.decode(ARGV[3])
if redis.call('HEXISTS', keys.holders, token) == 1 then return cjson.encode({ result = 'admitted' }) end
local account = read_account(keys.account)
local r = room(keys, account, limits_of(options, account))
if r.free == 0 then return cjson.encode({ result = 'held', limit = r.limit }) end
redis.call('ZADD', keys.permits, int(now + options.lease), token)
redis.call('HSET', keys.holders, token, ARGV[2])
if r.probe then probing(keys, account, options) end
return cjson.encode({ result = 'admitted' })
