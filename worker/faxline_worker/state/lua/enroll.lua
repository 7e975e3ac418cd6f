-- enroll: the accounts that a dispatcher runs for are known by name.
-- KEYS  accounts
-- ARGV  names
-- reply done
redis.call('SADD', KEYS[1], unpack(ARGV))
return 'done'
