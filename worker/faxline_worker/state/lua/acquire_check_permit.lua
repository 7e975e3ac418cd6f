-- acquire_check_permit: takes a permit for the call that asks whether iFax accepts the key. The call is about no job; its
-- answer goes to `report`.
-- include: clock permits offers account_hash limits room probes
-- ARGV  permit token (the caller's own: asked again with it, the answer is the same), control call, JSON options, the
--       steady clock as the caller knows it (ms, or empty)
-- reply JSON {result = admitted, linger} or {result = held, limit}
local permit, options = permit_of(ARGV[1], ARGV[2]), cjson.decode(ARGV[3])
local account = read_account(options, ARGV[4])
local admitted = { result = 'admitted', linger = options.linger }
if redis.call('ZSCORE', keys.permits, permit) then return cjson.encode(admitted) end
if account.newer then return reply_at({ result = 'held', limit = 'layout' }) end
local r = room(account, limits_of(options, account))
if r.free == 0 then return reply_at({ result = 'held', limit = r.limit }) end
redis.call('ZADD', keys.permits, int(steady + options.lease), permit)
if r.probe then note_probe(account, options) end
return reply_at(admitted)
