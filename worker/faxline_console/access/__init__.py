"""Who is let in, with which rights: people, sessions, sign-ins, and what each page demands."""
