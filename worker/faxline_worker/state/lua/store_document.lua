-- store_document: stores a document once and deletes its uploads. A longer time to live stays.
-- KEYS  document, and the uploads of it
-- ARGV  bytes, time to live (ms)
-- reply done, or there: something is stored already, and stays
local new = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
if not new then redis.call('PEXPIRE', KEYS[1], ARGV[2], 'GT') end
if #KEYS > 1 then redis.call('UNLINK', unpack(KEYS, 2)) end
return new and 'done' or 'there'
