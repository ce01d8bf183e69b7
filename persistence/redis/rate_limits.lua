-- The rule of domain/rate_limit.py on the clock of Redis. KEYS: buckets. ARGV: 1 to take of all or of none, else 0;
-- then for each key: interval (us), burst, least, most, debt. Returns for each key: granted, remaining, retry, full (us).
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local together = ARGV[1] == '1'
local buckets, refused = {}, false

for i, key in ipairs(KEYS) do
    local first = (i - 1) * 5 + 2
    local bucket = {
        interval = tonumber(ARGV[first]), burst = tonumber(ARGV[first + 1]), least = tonumber(ARGV[first + 2]),
        most = tonumber(ARGV[first + 3]), debt = tonumber(ARGV[first + 4]),
    }
    bucket.full_at = math.max(tonumber(redis.call('GET', key) or 0), now) + bucket.debt * bucket.interval
    bucket.available = math.floor((now + bucket.burst * bucket.interval - bucket.full_at) / bucket.interval)
    refused = refused or bucket.available < bucket.least
    buckets[i] = bucket
end

local results = {}
for i, key in ipairs(KEYS) do
    local b = buckets[i]
    local granted, retry = 0, 0
    if b.available < b.least then
        retry = b.full_at + b.least * b.interval - now - b.burst * b.interval
    elseif not (together and refused) then
        granted = math.min(b.most, b.available)
    end
    b.full_at = b.full_at + granted * b.interval
    if granted + b.debt > 0 then
        redis.call('SET', key, string.format('%.0f', b.full_at), 'PX', math.ceil((b.full_at - now) / 1000))
    end
    results[i] = {granted, math.max(0, b.available - granted), retry, b.full_at - now}
end
return results
