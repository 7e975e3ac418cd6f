-- keep: a document that came inside an entry is stored once; a time to live that is longer already stays.
-- KEYS  document
-- ARGV  bytes, time to live (ms)
-- reply done
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2], 'GT')
return 'done'
