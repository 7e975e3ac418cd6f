-- An operator's order leaves its stream in the script that carries it out; what became of it stands for a while in a
-- stream of its own, on which the one who gave the order waits.
local REPLY_LIVES = 60000

-- The members of the order; nil where it was carried out before. `user` is the Redis user that its sender says it is.
local function take_order(orders, entry)
  local found = redis.call('XRANGE', orders, entry, entry)[1]
  if not found then return nil end
  redis.call('XDEL', orders, entry)
  local word = {}
  for i = 1, #found[2], 2 do word[found[2][i]] = found[2][i + 1] end
  word.user = string.sub(word.user or '', 1, 128)
  return word
end

-- more: one further field of the reply, with its value.
local function answer(key, result, more, value)
  redis.call('XADD', key, '*', 'result', result, unpack(more and { more, value } or {}))
  redis.call('PEXPIRE', key, REPLY_LIVES)
  return result
end
