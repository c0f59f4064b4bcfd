// SpineClient
