-- Distinct tokens in rotation and a unique Cf-Ray for each request: identical requests flatter caches.
local tokens, next_token, ray = {}, 0, 0

function init(args)
  for line in io.lines(args[1]) do tokens[#tokens + 1] = line end
end

function request()
  next_token = next_token % #tokens + 1
  ray = ray + 1
  return wrk.format("GET", "/page", {
    ["Host"] = "admin.example.com",
    ["Cf-Access-Jwt-Assertion"] = tokens[next_token],
    ["Cf-Ray"] = string.format("%016x-FRA", ray),
    ["Cf-Connecting-Ip"] = "203.0.113.7",
    ["X-Forwarded-For"] = "203.0.113.7",
    ["X-Forwarded-Proto"] = "https",
    ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ["Accept-Language"] = "en-GB,en;q=0.9",
    ["Cookie"] = "theme=dark; CF_Authorization=" .. tokens[next_token],
  })
end
