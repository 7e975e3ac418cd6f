-- An errand is a call about a job that is no submission: so far `status`, the question how a submitted fax stands.
-- In the ready set it is !kind!job, of rank 0, so ahead of all; it takes a permit like any call.
local function errand_of(kind, id) return '!' .. kind .. '!' .. id end

local function parse_errand(member) return string.match(member, '^!(%l+)!(.*)$') end

local function send_errand(keys, member)
  redis.call('ZADD', keys.ready, int(now_us - EPOCH_US), member)
  ring(keys)
end
