"""RabbitMQ: the only package that imports pika."""
