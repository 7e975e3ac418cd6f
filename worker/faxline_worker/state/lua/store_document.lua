-- store_document: stores a document once and deletes its uploads. A longer time to live stays.
-- ARGV  digest, bytes, time to live (ms), the names of its uploads
-- reply done, or there: something is stored already, and stays
local key, uploads = keys.document .. ARGV[1], {}
local new = redis.call('SET', key, ARGV[2], 'NX', 'PX', ARGV[3])
if not new then redis.call('PEXPIRE', key, ARGV[3], 'GT') end
for i = 4, #ARGV do uploads[#uploads + 1] = keys.upload .. ARGV[i] end
if #uploads > 0 then redis.call('UNLINK', unpack(uploads)) end
return new and 'done' or 'there'
