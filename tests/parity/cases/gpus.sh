# --gpus where there is no GPU: what both engines say. With one there, the two go different ways (docs/gpus.md).

### gpus-none: nothing here can give any
docker run --rm --gpus all busybox true; echo $?

### gpus-driver-unknown: nor by that name
docker run --rm --gpus driver=nosuch busybox true

### gpus-capabilities: what was asked for is told
docker run --rm --gpus '"capabilities=compute,utility"' busybox true

### gpus-inspect: all forms, as the API has them
docker create --name $C --gpus 2 --gpus '"device=0,1"' --gpus 'all,driver=nvidia,"options=a=b,c=d"' busybox >/dev/null
docker inspect --format '{{json .HostConfig.DeviceRequests}}' $C

### gpus-bad-count: neither all nor a number
docker run --rm --gpus some busybox true

### gpus-bad-key: no such member
docker run --rm --gpus gpu=1 busybox true

### gpus-twice: a member given twice
docker run --rm --gpus device=0,device=1 busybox true

### gpus-empty: nothing
docker run --rm --gpus '' busybox true

### gpus-bad-quotes: quotes that don't end
docker run --rm --gpus '"device=0' busybox true
