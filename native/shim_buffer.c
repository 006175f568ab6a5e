/* A queue of bytes between a fast side and a slow one: grows at the end, shrinks from the front, holds no memory when
 * empty. Part of shim.c. */

struct buffer {
    char *bytes;
    size_t start, length, capacity;
};

static void buffer_free(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

/* False when there is no memory; the caller then gives up whom the bytes were for, never the container. */
static bool buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    if (buffer->start + buffer->length + length > buffer->capacity) {
        size_t capacity = 2 * (buffer->length + length);
        char *larger = malloc(capacity);
        if (larger == NULL)
            return false;
        if (buffer->length > 0)
            memcpy(larger, buffer->bytes + buffer->start, buffer->length);
        free(buffer->bytes);
        *buffer = (struct buffer){.bytes = larger, .length = buffer->length, .capacity = capacity};
    }
    memcpy(buffer->bytes + buffer->start + buffer->length, bytes, length);
    buffer->length += length;
    return true;
}

static void buffer_consume(struct buffer *buffer, size_t length)
{
    buffer->start += length;
    buffer->length -= length;
    if (buffer->length == 0)
        buffer_free(buffer);
}
