-- register_accounts: adds the accounts of a dispatcher to the set of all names.
-- KEYS  accounts
-- ARGV  names
-- reply done
redis.call('SADD', KEYS[1], unpack(ARGV))
return 'done'
